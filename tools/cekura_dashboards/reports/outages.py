"""One outage is told once: of one chart, with the others of the same calls named."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from cekura_dashboards.charts.target import Target
from cekura_dashboards.reports.report import WidgetReport
from cekura_dashboards.stats.findings import Gap, Unusual
from cekura_dashboards.stats.outages import is_one_event
from cekura_dashboards.stats.timeline import moment_of
from cekura_dashboards.summaries.bar import ADDITIVE
from cekura_dashboards.text import json_text

HOUR_LONG, DAY_LONG = timedelta(hours=1), timedelta(days=1)


def without_repeated_outages(targets: Sequence[Target], reports: Sequence[WidgetReport]) -> list[WidgetReport]:
    """The reports; an outage of the same calls is told of one chart, a count if there is one, with the others named."""
    first, results = dict[str, int](), [*reports]
    for place in sorted(range(len(reports)), key=lambda i: targets[i].config.function != "count"):
        report, target = results[place], targets[place]
        gaps = [item for item in report.findings or [] if isinstance(item, Gap)]
        if not gaps or report.widget.id is None:
            continue
        key = _calls_of(target)
        if first.setdefault(key, place) == place:
            continue
        main = results[first[key]]
        known = [item for item in main.findings or [] if isinstance(item, Gap)]
        repeats = [gap for gap in gaps if any(is_one_event(_ends(gap), _ends(other)) for other in known)]
        if not repeats:
            continue
        others = [
            _told_with(item, repeats, report.widget.id) if isinstance(item, Gap) else item
            for item in main.findings or []
        ]
        results[first[key]] = main.model_copy(update={"findings": others})
        left = [item for item in report.findings or [] if item not in repeats]
        results[place] = report.model_copy(update={"findings": left, "outage_of": main.widget.id})
    return [_without_rest(target, report, results, first) for target, report in zip(targets, results, strict=True)]


def _without_rest(
    target: Target, report: WidgetReport, results: Sequence[WidgetReport], first: Mapping[str, int]
) -> WidgetReport:
    """A report of totals without the buckets of few calls that an outage of the same calls leaves in another chart."""
    place = first.get(_calls_of(target))
    if place is None or results[place].widget.id == report.widget.id or target.config.function not in ADDITIVE:
        return report
    gaps = [_ends(item) for item in results[place].findings or [] if isinstance(item, Gap)]
    left = [item for item in report.findings or [] if not (isinstance(item, Unusual) and _is_left_by(item, gaps))]
    if len(left) == len(report.findings or []):
        return report
    return report.model_copy(update={"findings": left, "outage_of": results[place].widget.id})


def _is_left_by(item: Unusual, gaps: Sequence[tuple[datetime, datetime]]) -> bool:
    start = moment_of(item.start)
    end = start + item.buckets * (DAY_LONG if len(item.start) == len("2026-11-12") else HOUR_LONG)
    return item.value < item.expected and any(start <= until and since <= end for since, until in gaps)


def _calls_of(target: Target) -> str:
    return json_text([target.calls, target.project or target.dashboard])


def _told_with(gap: Gap, others: Sequence[Gap], widget: int) -> Gap:
    """An outage with another widget that has it: by the hour, and from the last call, where either shows that."""
    same = [other for other in others if is_one_event(_ends(gap), _ends(other))]
    if not same:
        return gap
    start, expected = gap.start, gap.expected_calls
    for other in same:
        earlier = moment_of(start) - moment_of(other.start)
        if gap.still and other.still and timedelta(0) < earlier:
            start, expected = other.start, expected if earlier <= HOUR_LONG else other.expected_calls
    update = {"start": start, "expected_calls": expected, "widgets": [*(gap.widgets or []), widget]}
    return gap.model_copy(update=update)


def _ends(gap: Gap) -> tuple[datetime, datetime]:
    return moment_of(gap.start), moment_of(gap.end)
