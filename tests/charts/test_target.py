"""What came back for a target: what is made of it is made once, and anew for another chart."""

from cekura_dashboards.api.chart_data import Chart
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.target import ChartReading, Target
from cekura_dashboards.charts.window import Window
from cekura_dashboards.values import replace
from support import NOW


def test_what_is_made_of_a_chart_is_made_once_and_anew_for_a_copy_with_another() -> None:
    made = list[str]()

    def rows_of(reading: ChartReading) -> str:
        def work_out() -> str:
            made.append(f"{reading.chart}")
            return made[-1]

        return reading.once("rows", work_out)

    first = ChartReading(Target(WidgetConfig(), {}), Window(NOW, NOW, "asked"), Chart("bar"))
    other = replace(first, chart=Chart("pie"))
    assert [rows_of(first), rows_of(first), rows_of(other)] == [made[0], made[0], made[1]]
    assert made == [f"{first.chart}", f"{other.chart}"]
