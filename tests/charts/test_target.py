"""What came back for a target: what is made of it is made once, and anew for another chart."""

from datetime import timedelta

from cekura_dashboards.api.chart_data import BarRow, Chart
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.rows import bar_rows
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.values import replace
from support import NOW

WEEK = Window(NOW - timedelta(days=7), NOW, "asked")


def test_what_is_made_of_a_chart_is_made_once_and_anew_for_a_copy_with_another() -> None:
    made = list[str]()

    def rows_of(reading: ChartReading) -> str:
        def work_out() -> str:
            made.append(f"{reading.chart}")
            return made[-1]

        return reading.memoise("rows", work_out)

    first = ChartReading(Target(WidgetConfig(), {}), Window(NOW, NOW, "asked"), Chart("bar"))
    other = replace(first, chart=Chart("pie"))
    assert [rows_of(first), rows_of(first), rows_of(other)] == [made[0], made[0], made[1]]
    assert made == [f"{first.chart}", f"{other.chart}"]


def test_windows_of_one_chart_are_cut_out_of_the_same_buckets_and_keep_their_own_names() -> None:
    days = [NOW.replace(hour=0, minute=0) - timedelta(days=days) for days in (6, 2, 1)]
    chart = Chart("bar", rows=[BarRow(f"{day:%Y-%m-%dT%H:%M:%SZ}", 1.5, 4, "7") for day in days], grouped=True)
    config = WidgetConfig.model_validate({"chart_type": "bar", "time_period": "day", "aggregation_function": "avg"})
    whole = ChartReading(Target(config, {}), WEEK, chart)
    part = replace(whole, window=replace(WEEK, start=NOW - timedelta(days=2)))
    rows, fewer = bar_rows(whole, chart, {}), bar_rows(part, chart, {})
    assert [len(rows.buckets), rows.outside, len(fewer.buckets), fewer.outside] == [3, 0, 2, 1]
    assert all(mine is theirs for mine, theirs in zip(fewer.buckets, rows.buckets[1:], strict=True))
    named = bar_rows(whole, chart, {"7": "Booking"})
    assert {bucket.group for bucket in named.buckets} == {"Booking (7)"}
    assert {bucket.group for bucket in rows.buckets} == {"7"}
