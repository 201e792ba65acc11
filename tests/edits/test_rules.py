"""Which charts a metric supports: checked before reading and before saving."""

import pytest

from cekura_dashboards.api import errors
from support import Json, ask, new_sandbox, open_tools

pytestmark = pytest.mark.anyio


METRIC_BAR: Json = {
    "chart_type": "bar",
    "field": "metric_evaluations.value",
    "aggregation_function": "avg",
    "time_period": "day",
}


async def test_charts_unsupported_by_a_metric_type_are_rejected_early() -> None:
    line = {"chart_type": "line", "field": "metric_evaluations.value", "metric": 504}
    async with open_tools(new_sandbox(count=300)) as (context, recorder):
        for tool, arguments in (
            ("preview_widget", {"widget": line, "dashboard_id": 11}),
            ("bulk_edit_dashboard", {"dashboard_id": 11, "create": [line]}),
        ):
            with pytest.raises(
                errors.InvalidArguments, match="chart_type: line is not possible for an enum metric; use `pie`"
            ):
                await ask(context, tool, **arguments)
        assert not any("preview_data" in path for path in recorder.paths())
        unknown = {**METRIC_BAR, "metric": 505}
        text, preview = await ask(context, "preview_widget", widget=unknown, dashboard_id=11)
        assert 'the charts of a metric of type "continuous_qualitative" are not documented' in preview["warnings"][0]
        _, receipt = await ask(context, "bulk_edit_dashboard", dashboard_id=11, create=[unknown])
        assert receipt["outcome"] == "applied"
        assert "are not documented; the API decides" in receipt["warnings"][0]
        assert "warning: " in text
