"""The same finding has the same verdict in whichever tool reports it."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

import pytest

from cekura_dashboards.stats.change import changes_from_findings
from cekura_dashboards.stats.findings import Step
from support import Json, ask, open_tools, shared_sandbox

pytestmark = pytest.mark.anyio
LARGE = 60_000


def findings_of(report: Json) -> list[Json]:
    return [*(report.get("findings") or [])]


def verdicts_of_findings(reports: Iterable[Json]) -> Iterable[tuple[tuple[int, str], str]]:
    for report in reports:
        for finding in findings_of(report):
            yield (report["widget"]["id"], finding["kind"]), finding["verdict"]


def verdicts_of_changes(answer: Json) -> Iterable[tuple[tuple[int, str], str]]:
    for row in answer["changes"]:
        for widget in row["widgets"]:
            yield (widget, row["kind"]), row["verdict"]


def steps_in_window(reports: Iterable[Json]) -> Iterable[tuple[Json, Json]]:
    """Each step that began in the window, with the comparison of its chart."""
    for report in reports:
        for finding in findings_of(report):
            if finding["kind"] == "step" and not finding.get("before_window"):
                yield finding, report["comparison"]


async def test_a_finding_has_one_verdict_in_all_tools_and_no_comparison_contradicts_it() -> None:
    verdicts, compared = defaultdict[tuple[int, str], set[str]](set), list[Json]()
    async with open_tools(shared_sandbox(count=LARGE)) as (context, _):
        facts = list[tuple[tuple[int, str], str]]()
        for dashboard in (11, 12):
            for more in ({"window": "29d"}, {"window": "7d", "compare_to": "previous_period"}):
                _, answer = await ask(context, "get_widgets_data", dashboard_id=dashboard, **more)
                facts += verdicts_of_findings(answer["widgets"])
                compared += [report for report in answer["widgets"] if "compare_to" in more]
        _, alone = await ask(context, "get_widgets_data", widget_ids=[209], window="7d")
        facts += verdicts_of_findings(alone["widgets"])
        for arguments in ({}, {"dashboard_ids": [11]}, {"dashboard_ids": [12]}):
            _, answer = await ask(context, "find_changes", **arguments)
            facts += verdicts_of_changes(answer)
    for fact, verdict in facts:
        verdicts[fact].add(verdict)
    assert verdicts[209, "step"] == verdicts[203, "step"] == {"clear"}
    assert {fact: words for fact, words in verdicts.items() if len(words) > 1} == {}
    pairs = [*steps_in_window(compared)]
    assert len(pairs) >= 2
    for step, comparison in pairs:
        assert comparison["difference"] * step["change"] > 0, (step, comparison)
        assert comparison["verdict"] == step["verdict"], (step, comparison)


@pytest.mark.parametrize("verdict", ["clear", "possible"])
@pytest.mark.parametrize("p_value", [1e-9, 0.02])
def test_a_change_in_a_list_has_the_verdict_of_its_finding(
    verdict: Literal["clear", "possible"], p_value: float
) -> None:
    step = Step(kind="step", at="2026-11-12", before=0.9, after=0.8, change=-0.1, verdict=verdict)
    [change] = changes_from_findings([step.with_p_value(p_value)], 1.0)
    assert change.verdict == verdict
