"""Series of looks: which changes are new, which were reported before, and when one becomes clear."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from cekura_dashboards.api.errors import InvalidArguments
from cekura_dashboards.api.models import Widget, WidgetConfig
from cekura_dashboards.charts.target import Target
from cekura_dashboards.reports.changes import RankedChange, Survey
from cekura_dashboards.reports.looks import MAX_TOKEN, Look, read_token, scope_of, since_last_look
from cekura_dashboards.stats.change import Change
from support import NOW

DAY = timedelta(days=1)
SCOPE = scope_of("these dashboards")
STEP = Change(how="step", p_value=1e-9, size=1.0, before=0.9, after=0.8, at="2026-11-10")
OUTAGE = Change(
    how="outage", p_value=1e-9, size=3.0, before=40, after=0, at="2026-11-18T03:00Z", until="2026-11-18T05:00Z"
)


def row(change: Change, widget: int = 1, **weaker: Any) -> RankedChange:
    config = WidgetConfig(chart_type="bar", field=f"metadata.{widget}", aggregation_function="avg", time_period="day")
    return RankedChange(Survey(Target(config, {}), (Widget(id=widget, chart_type="bar"),), ""), change, **weaker)


def look(
    *changes: RankedChange, at: datetime = NOW, token: str | None = None, tests: int = 5
) -> tuple[list[RankedChange], Look]:
    return since_last_look(changes, tests, read_token(token, SCOPE, at, about="these"), SCOPE, at)


def verdicts(*changes: RankedChange, pauses: list[timedelta], tests: int = 5) -> list[tuple[bool, bool]]:
    """For the first row of each look: whether it is clear, and whether it was reported before."""
    at, token, answers = NOW, None, list[tuple[bool, bool]]()
    for pause in [timedelta(0), *pauses]:
        at += pause
        rows, result = look(*changes, at=at, token=token, tests=tests)
        token = result.token
        answers.append((rows[0].is_clear, rows[0].told_before))
    return answers


def test_a_step_becomes_clear_after_seven_daily_looks() -> None:
    assert verdicts(row(STEP), pauses=[DAY] * 7) == [
        (False, False), *[(False, True)] * 5, (True, False), (True, True),
    ]  # fmt: skip
    result = look(row(STEP))[0][0].change
    assert (result.verdict, result.limited_by) == ("possible", "clear in this look, not yet over the series")


def test_hourly_looks_make_no_change_clear_sooner() -> None:
    weak = row(Change(
        how="step", p_value=1e-5, size=1.0, before=0.9, after=0.8, at="2026-11-10"))  # fmt: skip
    assert not any(clear for clear, _ in verdicts(weak, pauses=[timedelta(hours=1)] * 150))
    hourly = verdicts(row(STEP), pauses=[timedelta(hours=1)] * 144)
    assert [clear for clear, _ in hourly].index(True) >= 5.5 * 24


def test_two_looks_a_day_make_no_change_clear_later() -> None:
    level = row(Change(how="step", p_value=1e-5, size=1.0, before=0.9, after=0.8, at="2026-11-10"))
    minute = timedelta(minutes=1)
    two_a_day = verdicts(level, pauses=[minute, *[DAY - minute, minute] * 6])
    assert [clear for clear, _ in two_a_day].index(True) == 12  # the first look of the seventh morning
    assert not any(clear for clear, _ in verdicts(level, pauses=[minute] * 30))


def test_an_interruption_restarts_the_seven_looks() -> None:
    token = None
    for day in range(11):
        rows, result = look(*([] if day == 5 else [row(STEP)]), at=NOW + day * DAY, token=token)
        token = result.token
        assert not any(one.is_clear for one in rows)


def test_a_short_event_is_clear_at_once_and_recognized_later() -> None:
    _, first = look(row(OUTAGE))
    again = Change(how="outage", p_value=1e-9, size=3.0, before=9, after=0, at="2026-11-18T14:00Z", still=True)
    rows, second = look(row(again), row(OUTAGE), at=NOW + DAY, token=first.token)
    assert [(one.change.at, one.is_clear, one.told_before) for one in rows] == [
        ("2026-11-18T14:00Z", True, False), ("2026-11-18T03:00Z", True, True),
    ]  # fmt: skip
    assert (second.number, second.new, second.told_before) == (2, 1, 1)


def test_each_of_ninety_looks_spends_its_share_of_the_error_rate() -> None:
    share = 0.05 / 90
    for tests in (1, 40):
        for factor, is_clear in ((0.99, True), (1.01, False)):
            change = Change(how="outlier", p_value=factor * share / tests, size=1.0, before=2, after=9, at="2026-11-17")
            assert look(row(change), tests=tests)[0][0].is_clear is is_clear
    half = Change(how="outlier", p_value=0.7 * share, size=1.0, before=2, after=9, at="2026-11-17")
    _, first = look(tests=1)
    assert look(row(half), at=NOW + DAY, token=first.token, tests=1)[0][0].is_clear
    assert not look(row(half), at=NOW + DAY / 2, token=first.token, tests=1)[0][0].is_clear


def test_changes_of_other_direction_or_chart_are_new_events() -> None:
    _, first = look(row(STEP))
    rise = Change(how="step", p_value=1e-9, size=1.0, before=0.8, after=0.9, at="2026-11-10")
    for other in (row(rise), row(STEP, widget=2)):
        assert not look(other, at=NOW + DAY, token=first.token)[0][0].told_before


def test_a_share_is_recognized_a_week_later_and_another_step_is_new() -> None:
    share = Change(how="share", p_value=1e-3, size=1.0, before=10, after=20, part="billing")
    _, first = look(row(share), row(STEP))
    later = Change(how="step", p_value=1e-9, size=1.0, before=0.9, after=0.8, at="2026-11-17")
    rows, _ = look(row(share), row(later), at=NOW + 7 * DAY, token=first.token)
    assert {one.change.how: one.told_before for one in rows} == {"share": True, "step": False}


def test_a_token_is_bounded_and_keeps_the_latest_changes() -> None:
    days = [f"2026-11-{1 + place % 17:02}" for place in range(200)]
    many = [row(Change(how="step", p_value=1e-9, size=1.0, before=1, after=2, at=at), widget=place)
            for place, at in enumerate(days)]  # fmt: skip
    _, first = look(*many)
    assert len(first.token) <= MAX_TOKEN
    rows, _ = look(*many, at=NOW + DAY, token=first.token)
    assert {one.change.at for one in rows if one.told_before} >= {"2026-11-17", "2026-11-16"}
    assert "2026-11-01" not in {one.change.at for one in rows if one.told_before}


@pytest.mark.parametrize(("old", "new"), [("look1.", "look2."), (".1.", ".2."), ("look1.", "ünlesbar\x1b"), (".", "")])
def test_an_invalid_token_is_rejected_with_a_next_step(old: str, new: str) -> None:
    _, first = look(row(STEP))
    for token in (first.token.replace(old, new, 1), first.token[:-1]):
        with pytest.raises(InvalidArguments) as refused:
            read_token(token, SCOPE, NOW, about="these")
        assert "is not a complete token of a look; give the last answer's look.token unchanged" in str(refused.value)
        assert "or omit token to start a new series" in str(refused.value)


def test_tokens_of_other_dashboards_or_the_future_are_rejected() -> None:
    _, first = look(row(STEP))
    with pytest.raises(InvalidArguments, match="about something other than dashboards 11; look at the same again"):
        read_token(first.token, scope_of("others"), NOW, about="dashboards 11")
    with pytest.raises(InvalidArguments, match="2026-11-18T15:30Z, which has not come yet; check the clock"):
        read_token(first.token, SCOPE, NOW - DAY, about="these")
