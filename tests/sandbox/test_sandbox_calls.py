"""Properties of the generated calls."""

from datetime import timedelta

import pytest

from cekura_sandbox import ApiVariant, calls
from support import NOW, new_sandbox, shared_sandbox, sql


def test_the_requested_number_of_calls_covers_thirty_days() -> None:
    [(count, first, last)] = sql(shared_sandbox(), "SELECT count(*), min(ts), max(ts) FROM calls")
    assert count == 6000
    naive = NOW.replace(tzinfo=None)
    assert naive - timedelta(days=30) <= first < naive - timedelta(days=29, hours=12)
    assert naive - timedelta(hours=3) < last <= naive


def test_the_same_seed_gives_the_same_calls() -> None:
    query = "SELECT id, ts, agent_id, duration, success, topic FROM calls ORDER BY id"
    assert sql(new_sandbox(), query) == sql(new_sandbox(), query)


def test_the_outage_has_no_calls_and_the_hours_around_it_do() -> None:
    app = shared_sandbox()
    day = (NOW - timedelta(days=calls.OUTAGE_DAYS_AGO)).date()
    by_hour = dict(sql(app, f"SELECT hour(ts), count(*) FROM calls WHERE ts::DATE = '{day}' GROUP BY 1"))
    begin, end = calls.OUTAGE_HOURS
    assert all(by_hour.get(hour, 0) == 0 for hour in range(begin, end))
    assert by_hour[begin - 1] > 0
    assert by_hour[end] > 0


def test_the_release_lowers_the_success_of_one_agent() -> None:
    release = (NOW - timedelta(days=calls.RELEASE_DAYS_AGO)).replace(tzinfo=None)
    query = (
        "SELECT avg(success::INT) FILTER (ts < '{0}'), avg(success::INT) FILTER (ts >= '{0}') "
        "FROM calls WHERE agent_id {1} {2}"
    )
    app = shared_sandbox()
    [(before, after)] = sql(app, query.format(release, "=", calls.RELEASE_AGENT))
    [(others_before, others_after)] = sql(app, query.format(release, "!=", calls.RELEASE_AGENT))
    assert before - after > 0.12
    assert abs(others_before - others_after) < 0.05


def test_a_topic_surges_and_a_language_is_rare() -> None:
    surge = (NOW - timedelta(days=calls.SURGE_DAYS_AGO)).replace(tzinfo=None)
    share = f"avg((topic = '{calls.SURGE_TOPIC}')::INT)"
    app = shared_sandbox(count=60_000)
    [(before, after)] = sql(app, f"SELECT {share} FILTER (ts < '{surge}'), {share} FILTER (ts >= '{surge}') FROM calls")
    assert after > before + 0.15
    [(rare,)] = sql(app, f"SELECT count(*) FROM calls WHERE metadata['language'] = '{calls.RARE_LANGUAGE}'")
    assert 1 <= rare <= 60


def test_latency_grows_and_sundays_are_quiet() -> None:
    app = shared_sandbox()
    half = (NOW - timedelta(days=15)).replace(tzinfo=None)
    [(early, late)] = sql(
        app,
        f"SELECT median(number) FILTER (ts < '{half}'), median(number) FILTER (ts >= '{half}') "
        "FROM evaluations e JOIN calls c ON c.id = e.call_id WHERE metric_name = 'Response latency'",
    )
    assert late > early * 1.08
    [(sunday, tuesday)] = sql(
        app, "SELECT count(*) FILTER (isodow(ts) = 7), count(*) FILTER (isodow(ts) = 2) FROM calls"
    )
    assert sunday < 0.6 * tuesday


@pytest.mark.parametrize("kind", ["numeric", "binary", "enum", "continuous_qualitative"])
def test_metrics_of_every_type_have_values(kind: str) -> None:
    column = "label" if kind == "enum" else "number"
    [(count,)] = sql(
        shared_sandbox(),
        f"SELECT count({column}) FROM evaluations e JOIN metrics m ON m.id = e.metric_id WHERE eval_type = '{kind}'",
    )
    assert count > 100


@pytest.mark.parametrize(
    ("readings", "values", "share"),
    [
        (ApiVariant(binary="0/1"), {0, 1}, 1),
        (ApiVariant(binary="0/5", sample_rate=0.3), {0, 5}, 0.3),
        (ApiVariant(binary="percent", trigger="custom", placeholders="null"), {0, 100}, 0.52),
    ],
    ids=str,
)
def test_sampling_and_triggers_apply_to_judged_metrics_only(
    readings: ApiVariant, values: set[float], share: float
) -> None:
    counts, scores = [
        f"SELECT count({what}) FROM evaluations WHERE metric_id = {metric}"
        for what, metric in (("number", 501), ("number", 503))
    ]
    app, plain = shared_sandbox(readings), shared_sandbox()
    assert sql(app, counts) == sql(plain, counts)
    [(judged,)], [(every,)] = sql(app, scores), sql(plain, scores)
    assert judged == pytest.approx(share * every, abs=0.03 * every)
    result = sql(app, "SELECT DISTINCT number FROM evaluations WHERE metric_id = 503 AND number IS NOT NULL")
    assert {number for (number,) in result} == values
    [(rows,)] = sql(app, "SELECT count(*) FROM evaluations WHERE metric_id = 503")
    [(calls,)] = sql(app, "SELECT count(*) FROM calls WHERE project = 1")
    assert rows == (calls if readings.placeholders == "null" else judged)


def test_a_sample_rate_applies_from_its_day_on() -> None:
    app, plain = shared_sandbox(ApiVariant(sample_rate=0.1, evaluated_since_days=6)), shared_sandbox()
    by_side = (
        "SELECT count(*) FILTER (ts < '2026-11-12 15:30'), count(*) FILTER (ts >= '2026-11-12 15:30') "
        "FROM evaluations e JOIN calls c ON c.id = e.call_id WHERE metric_id = 503"
    )
    [(before, after)], [(same, every)] = sql(app, by_side), sql(plain, by_side)
    assert before == same
    assert after == pytest.approx(0.1 * every, abs=0.04 * every)
