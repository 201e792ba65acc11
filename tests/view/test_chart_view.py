"""The chart view in a real browser, as a chat or a report shows it: drawing, text, requests, and hostile input."""

import json
from collections.abc import AsyncGenerator
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser

from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards_mcp.cli.calls import make_report
from cekura_dashboards_mcp.connection import Connection
from cekura_sandbox import ApiVariant
from support import PIE, Json, new_sandbox, now, settings, shared_sandbox
from view.host import Host, Shown, host_of, numbers

pytestmark = pytest.mark.anyio
BAR: Json = {"name": "Calls", "chart_type": "bar", "field": "agent_id", "aggregation_function": "count"}
BY_AGENT: Json = {**BAR, "time_period": "day", "group_by": {"type": "field", "field": "agent.id"}}
CASES: dict[str, tuple[str, Json]] = {
    "dashboard": ("get_widgets_data", {"dashboard_id": 11}),
    "dashboard of an agent": ("get_widgets_data", {"dashboard_id": 12}),
    "bar": ("preview_widget", {"widget": {**BAR, "time_period": "day"}, "window": "7d"}),
    "hourly bar": ("preview_widget", {"widget": {**BAR, "time_period": "hour"}, "window": "29d"}),
    "grouped bar": ("preview_widget", {"widget": BY_AGENT, "window": "14d"}),
    "compared": ("get_widgets_data", {"widget_ids": [204], "window": "7d", "compare_to": "previous_period"}),
    "compared pie": ("get_widgets_data", {"widget_ids": [206], "window": "7d", "compare_to": "previous_period"}),
    "compared stat": ("get_widgets_data", {"widget_ids": [201], "window": "7d", "compare_to": "previous_period"}),
    "line": ("get_widgets_data", {"widget_ids": [207], "window": "29d"}),
    "line of a day": ("get_widgets_data", {"widget_ids": [207], "window": "24h"}),
    "grouped line": ("preview_widget", {"widget": {"chart_type": "line", "field": "duration", "group_by": {"type": "field", "field": "topic"}}, "window": "3d"}),
    "pie": ("preview_widget", {"widget": PIE, "window": "yesterday"}),
    "stat": ("preview_widget", {"widget": {"chart_type": "stat"}, "window": "3d"}),
    "share": ("preview_widget", {"widget": {**BAR, "time_period": "day"}, "window": "7d", "share_where": {"field": "success", "op": "eq", "value": True}}),
    "profile": ("preview_widget", {"widget": {**BAR, "time_period": "hour"}, "window": "29d", "profile": "hour_of_day"}),
    "no calls": ("preview_widget", {"widget": PIE, "window": "1h", "filters": {"field": "topic", "op": "eq", "value": "nonsense"}}),
    "some failed": ("get_widgets_data", {"widget_ids": [203, 999]}),
    "edit": ("preview_edit", {"dashboard_id": 11, "create": [PIE], "update": [{"id": 203, "time_period": "week"}, {"id": 202, "filters": {"field": "success", "op": "eq", "value": True}}, {"id": 206, "field": "call_ended_reason"}]}),
    "explanation": ("explain_change", {"widget_id": 203, "window": "5d"}),
    "changes": ("find_changes", {}),
    "edits": ("get_widgets_data", {"widget_ids": [209], "window": "7d", "edits": "full"}),
    "details": ("list_calls", {"widget_id": 205, "limit": 2, "details": True}),
    "calls": ("list_calls", {"widget_id": 205, "label": "voicemail-reached"}),
}  # fmt: skip
NAMES = list(CASES)
FIGURES = "[...document.querySelectorAll('[data-v]')].map(node => [Number(node.dataset.v), node.textContent])"
OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(node => {
  const box = node.getBoundingClientRect(), held = node.closest('.wide, #live')
  return box.width && !held && (box.right > innerWidth + 1 || box.left < -1)
}).map(node => node.outerHTML.slice(0, 120))"""
OPEN_ALL = "document.querySelectorAll('details').forEach(node => { node.open = true })"
SHORTEN = """document.querySelectorAll('tbody').forEach(body => {
  const kinds = new Set()
  for (const row of [...body.rows]) {
    const kind = [...row.querySelectorAll('*')].map(node => node.tagName + [...node.attributes].map(one => one.name)).join()
    if (kinds.has(kind)) row.remove()
    kinds.add(kind)
  }
})"""
"""Keeps one row of each kind per table, of up to 700 similar rows."""
AXE = files("axe_playwright_python").joinpath("axe.min.js")


@pytest.fixture(scope="module", params=NAMES)
async def case(host: Host, request: pytest.FixtureRequest) -> AsyncGenerator[Shown]:
    """Every case, displayed once for all its tests."""
    tool, arguments = CASES[request.param]
    async with host.show(tool, arguments) as shown:
        yield shown


async def test_every_view_fits_every_width_and_loads_nothing_external(case: Shown) -> None:
    for width in (360, 494, 1200):
        await case.resize(width)
        assert await case.view.evaluate(OVERFLOWING) == []
        assert len(await case.text()) > 20
    [*_, size] = await case.messages_to_host("ui/notifications/size-changed")
    assert size["height"] > 60
    assert (case.refused, case.console, case.calls) == ([], [], [])


async def test_every_figure_shown_is_in_the_answer(case: Shown) -> None:
    await case.resize(768)
    await case.view.evaluate(OPEN_ALL)
    figures: list[tuple[float, str]] = await case.view.evaluate(FIGURES)
    drawn = numbers(case.result["_meta"]["cekura/chart"])
    assert {value for value, _ in figures} <= drawn
    for value, text in figures:
        read = float(text.replace(",", "").split(" ")[0])
        assert read == pytest.approx(value) or read == pytest.approx(100 * value)


async def test_axe_reports_no_serious_violation(case: Shown) -> None:
    await case.resize(768)
    await case.view.evaluate(OPEN_ALL)
    await case.view.add_script_tag(content=AXE.read_text(encoding="utf-8"))
    for theme, rules in (("light", ""), ("dark", "runOnly: ['color-contrast'], ")):  # dark mode differs only in colors
        await case.change_theme(theme)
        options = f"{{ {rules}resultTypes: ['violations'] }}"
        await case.view.evaluate(SHORTEN)
        result = await case.view.evaluate(f"axe.run({options}).then(result => result.violations)")
        assert [
            (one["id"], one["nodes"][0]["html"][:160], one["nodes"][0]["failureSummary"])
            for one in result
            if one["impact"] in {"serious", "critical"}
        ] == []


async def test_headline_figures_and_verdicts_match_the_answer(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [203], "compare_to": "previous_period"}) as shown:
        [report] = shown.result["structuredContent"]["widgets"]
        text = await shown.text()
        assert f"{100 * report['comparison']['current']['value']:g} % against" in text
        assert report["comparison"]["verdict"] in text
        for finding in report["findings"]:
            assert f"{finding['verdict']} {finding['kind']}" in text.replace("\n", " ")


async def test_scores_of_0_and_5_are_drawn_as_a_rate(browser: Browser) -> None:
    async with host_of(browser, shared_sandbox(ApiVariant(binary="0/5"))) as host:
        async with host.show("get_widgets_data", {"widget_ids": [216]}) as shown:
            [report] = shown.result["structuredContent"]["widgets"]
            text = await shown.text()
            assert f"{100 * report['facts']['overall']:g} % overall, n {report['n']}, pass = 5" in text
            assert max(value for value, _ in await shown.view.evaluate(FIGURES)) <= report["evaluated"]["all_calls"]
        async with host.show("get_widgets_data", {"widget_ids": [211]}) as shown:
            [report] = shown.result["structuredContent"]["widgets"]
            text = await shown.text()
            assert f"{100 * report['facts']['rate']:g} % overall, n {report['n']}, pass = 5" in text


SAMPLED = ApiVariant(binary="0/5", sample_rate=0.1, evaluated_since_days=5)


@pytest.mark.no_cover
async def test_views_of_metrics_show_the_evaluated_share_and_its_changes(
    browser: Browser,
) -> None:
    rate: Json = {**BAR, "field": "metric_evaluations.value", "metric": 503, "aggregation_function": "avg"}
    chart: Json = {"widget": {**rate, "time_period": "day"}, "dashboard_id": 11, "window": "14d"}
    async with host_of(browser, shared_sandbox(SAMPLED, 20_000)) as host:
        for tool, more in [("preview_widget", {"compare_to": "previous_period"}), ("explain_change", {})]:
            async with host.show(tool, chart | more) as shown:
                answer = shown.result["structuredContent"]
                report, text = answer.get("report", answer), await shown.text()
                evaluated, reason = report["evaluated"], report["comparison"]["limited_by"]
                assert f"evaluated {evaluated['n']:,} of {evaluated['all_calls']:,} calls, {evaluated['pct']} %" in text
                assert f"possible at most: {reason}" in text
        async with host.show("find_changes", {"dashboard_ids": [13], "window": "7d"}) as shown:
            [change] = [one for one in shown.result["structuredContent"]["changes"] if one["kind"] == "evaluated"]
            before, after = (f"{100 * change[side]:g} %" for side in ("before", "after"))
            assert f"share of calls evaluated, not quality: 13 Nov {before} → {after}" in await shown.text()


@pytest.mark.parametrize("strip", [("_meta",), ("structuredContent",), ("_meta", "structuredContent")])
async def test_data_stripped_by_the_host_is_requested_again(host: Host, strip: tuple[str, ...]) -> None:
    tool, arguments = CASES["dashboard"]
    async with host.show(tool, arguments) as complete, host.show(tool, arguments, strip=strip) as shown:
        assert await shown.text() == await complete.text()
        again = ("chart_data", {"tool": tool, "arguments": arguments})
        assert shown.calls == ([again] if "_meta" in strip else [])


async def test_a_host_without_tool_calls_shows_the_series_of_the_answer(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}, strip=("_meta",), proxy=False) as shown:
        assert await shown.view.locator("svg[role=img] rect").count() == len(
            shown.result["structuredContent"]["widgets"][0]["series"]["value"]
        )
    async with host.show("list_calls", {"widget_id": 202}, strip=("_meta", "structuredContent"), proxy=False) as shown:
        assert (await shown.text()).strip() == "\n".join(part["text"] for part in shown.result["content"]).strip()


async def test_arrow_keys_select_points_and_enter_lists_their_calls(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}) as shown:
        svg = shown.view.locator("svg[role=img]")
        await svg.focus()
        await shown.page.keyboard.press("Home")
        tip = shown.view.locator(".tip")
        course = shown.result["_meta"]["cekura/chart"]["plots"][0]["courses"][0]
        assert f"{course['value'][0]:,}" in await tip.inner_text()
        await shown.page.keyboard.press("ArrowRight")
        assert f"{course['value'][1]:,}" in await tip.inner_text()
        assert await shown.view.locator("#live").inner_text() == await tip.text_content()
        await shown.page.keyboard.press("Enter")
        await shown.wait_for("document.querySelector('[role=status] table')")
        [(name, arguments)] = shown.calls
        assert (name, arguments["tool"]) == ("chart_data", "list_calls")
        assert arguments["arguments"] == {"widget_id": 202, "window": "2026-11-12T00:00Z/2026-11-13T00:00Z"}
        assert f"{course['value'][1]:,} calls" in await shown.text()


async def test_a_partial_bucket_lists_exactly_its_calls(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202], "window": "7d"}) as shown:
        course = shown.result["_meta"]["cekura/chart"]["plots"][0]["courses"][0]
        assert course["partial"] == [0, len(course["value"]) - 1]
        for key, place in (("Home", 0), ("End", -1)):
            await shown.view.locator("svg[role=img]").press(key)
            await shown.page.keyboard.press("Enter")
            await shown.wait_for(
                f"document.querySelector('[role=status]')?.innerText.includes('{course['value'][place]:,} calls')"
            )


async def test_a_slice_lists_its_calls_and_links_open_through_the_host(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [205], "window": "3d"}) as shown:
        await shown.view.get_by_role("button", name="voicemail-reached").press("Enter")
        await shown.wait_for("document.querySelector('[role=status] a')")
        arguments = shown.calls[0][1]["arguments"]
        assert (arguments["widget_id"], arguments["label"]) == (205, "voicemail-reached")
        assert arguments["window"] == "2026-11-15T15:30Z/2026-11-18T15:30Z"
        link = shown.view.locator("[role=status] a").first
        await link.press("Enter")
        [opened] = await shown.messages_to_host("ui/open-link")
        assert opened["url"] == await link.get_attribute("href")


async def test_requests_go_to_the_chat_if_the_host_has_no_tool_calls(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}, proxy=False) as shown:
        await shown.view.locator("svg[role=img]").click()
        await shown.wait_for("document.body.innerText.includes('Asked for in the chat')")
        [message] = await shown.messages_to_host("ui/message")
        assert "list_calls" in message["content"][0]["text"]


async def test_another_window_can_be_selected(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}) as shown:
        before = await shown.text()
        await shown.view.get_by_role("button", name="14d").press("Enter")
        await shown.wait_for("document.querySelector('[aria-pressed=true]')?.textContent === '14d'")
        assert shown.calls == [
            ("chart_data", {"tool": "get_widgets_data", "arguments": {"widget_ids": [202], "window": "14d"}})
        ]
        assert await shown.text() != before


async def test_groups_can_be_hidden_and_shown(host: Host) -> None:
    tool, arguments = CASES["grouped bar"]
    async with host.show(tool, arguments) as shown:
        paths = shown.view.locator("svg[role=img] path[fill=none]")
        count = await paths.count()
        key = shown.view.locator("button.key").nth(1)
        await key.press("Enter")
        assert (await paths.count(), await key.get_attribute("aria-pressed")) == (count - 1, "false")
        await key.press("Enter")
        assert await paths.count() == count


async def test_the_table_lists_every_point(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}) as shown:
        await shown.view.locator("summary", has_text="Show as table").press("Enter")
        course = shown.result["_meta"]["cekura/chart"]["plots"][0]["courses"][0]
        await shown.wait_for("document.querySelector('tbody tr')")
        cells = await shown.view.locator("tbody td [data-v]").all_inner_texts()
        assert cells == [f"{value:,}" for value in course["value"]]


def gap_at(place: int, answer: Json) -> Json:
    changed: Json = json.loads(json.dumps(answer))
    course = changed["_meta"]["cekura/chart"]["plots"][0]["courses"][0]
    course["value"][place] = None
    return changed


def of_2000_points(answer: Json) -> Json:
    start, values = "2026-11-17T00:00Z", [100 + i * 7919 % 97 for i in range(2000)]
    course: Json = {"role": "current", "start": start, "step_s": 60, "value": values, "n": [1] * 2000}
    answer["_meta"]["cekura/chart"]["plots"][0]["courses"] = [course]
    return answer


async def test_a_line_of_2000_points_is_drawn_completely(host: Host) -> None:
    tool, arguments = CASES["line"]
    async with host.show(tool, arguments, width=360, transform=of_2000_points) as shown:
        [path] = await shown.view.locator("svg[role=img] path[fill=none]").evaluate_all(
            "paths => paths.map(path => path.getAttribute('d'))"
        )
        assert path.count("L") == 1999
        svg = shown.view.locator("svg[role=img]")
        await svg.press("End")
        assert str(100 + 1999 * 7919 % 97) in await shown.view.locator(".tip").inner_text()


async def test_days_of_another_time_zone_list_no_calls(host: Host) -> None:
    arguments = {"widget_ids": [202], "window": "7d", "by": "local_day", "time_zone": "America/Los_Angeles"}
    async with host.show("get_widgets_data", arguments) as shown:
        await shown.view.locator("svg[role=img]").press("Home")
        await shown.page.keyboard.press("Enter")
        assert await shown.view.locator(".tip").is_visible()
        assert shown.calls == []


async def test_an_edit_is_marked_at_its_time_and_described(host: Host) -> None:
    places = "nodes => nodes.map(node => node.getBBox().x)"
    async with host.show("get_widgets_data", {"widget_ids": [209], "window": "7d", "edits": "brief"}) as shown:
        [mark] = await shown.view.locator("svg path[fill='var(--c4)']").evaluate_all(places)
        points = await shown.view.locator("svg[role=img] circle").evaluate_all(places)
        text = await shown.text()
    assert points[1] < mark < points[2], "after noon of 12 November, the second day"
    assert '12 Nov 15:30, agent 33 "Booking": description, version 2.4.0 (Offer a time at once)' in text


LINES = """nodes => nodes.map(node => ['x1', 'x2', 'y1', 'y2'].map(name => Number(node.getAttribute(name))))"""
CIRCLES = "nodes => nodes.map(node => [Number(node.getAttribute('cx')), Number(node.getAttribute('cy'))])"


def with_step(answer: Json) -> Json:
    """The answer with a step between the third and the fourth of its days."""
    for report in (answer["structuredContent"]["widgets"][0], answer["_meta"]["cekura/chart"]["answer"]["widgets"][0]):
        report["findings"] = [
            {"kind": "step", "at": "2026-11-14", "before": 0.85, "after": 0.8, "change": -0.05, "verdict": "clear"}
        ]
    return answer


@pytest.mark.parametrize("proxy", [True, False])
async def test_a_rate_is_drawn_as_points_with_intervals_and_step_levels(host: Host, *, proxy: bool) -> None:
    strip = () if proxy else ("_meta",)
    async with host.show(
        "get_widgets_data", {"widget_ids": [203]}, transform=with_step, proxy=proxy, strip=strip
    ) as shown:
        svg = shown.view.locator("svg[role=img]")
        assert await svg.locator("rect").count() == 0
        points: list[list[float]] = await svg.locator("circle").evaluate_all(CIRCLES)
        levels: list[list[float]] = await svg.locator("line.level").evaluate_all(LINES)
        intervals: list[list[float]] = await svg.locator("line.interval").evaluate_all(LINES)
        text = await shown.text()
    course = shown.result["_meta"]["cekura/chart"]["plots"][0]["courses"][0]
    values: list[float] = (
        course["value"] if proxy else shown.result["structuredContent"]["widgets"][0]["series"]["value"]
    )
    assert len(points) == len(values) == 8
    lowest, highest = values.index(min(values)), values.index(max(values))
    scale = (points[lowest][1] - points[highest][1]) / (max(values) - min(values))
    assert scale * (max(values) - min(values)) > 50, "more than a third of the height"

    def height(value: float) -> float:
        return points[lowest][1] - scale * (value - min(values))

    assert [level[2] for level in levels] == pytest.approx([height(0.85), height(0.8)], abs=0.1)
    assert levels[0][1] == levels[1][0]
    assert points[2][0] < levels[1][0] < points[3][0]
    assert (len(intervals) == len(points)) is proxy
    for (x, _, high, low), point, value in zip(intervals, points, values, strict=False):
        assert x == pytest.approx(point[0])
        assert high < height(value) < low
    assert ("Success rate, per day" in text) is proxy
    assert "avg of success" not in text


async def test_a_comparison_shows_the_baseline_level(host: Host) -> None:
    async with host.show(
        "get_widgets_data", {"widget_ids": [204, 203], "window": "7d", "compare_to": "previous_period"}
    ) as shown:
        bands = await shown.view.locator("rect.band").evaluate_all("nodes => nodes.map(node => node.getBBox().height)")
        text = await shown.text()
    assert [height > 1 for height in bands] == [True], "only in the chart without groups"
    assert "Success rate, per day, by agent" in text
    assert "agent.id" not in text


async def test_a_gap_is_drawn_as_a_gap(host: Host) -> None:
    tool, arguments = CASES["hourly bar"]
    async with host.show(tool, arguments, transform=lambda answer: gap_at(300, answer)) as shown:
        assert await shown.view.locator("svg[role=img] path[fill=none]").count() == 2


@pytest.mark.parametrize(
    ("values", "axis"), [([0] * 8, ["0", "0.5", "1"]), ([-150, -160] * 4, ["-150", "-100", "-50", "0"])]
)
async def test_bars_start_at_zero_for_positive_and_negative_values(
    host: Host, values: list[float], axis: list[str]
) -> None:
    def given(answer: Json) -> Json:
        answer["_meta"]["cekura/chart"]["plots"][0]["courses"][0]["value"] = values
        return answer

    async with host.show("preview_widget", {"widget": {**BAR, "time_period": "day"}}, transform=given) as shown:
        texts = await shown.view.locator("svg[role=img] text[text-anchor=end]").all_text_contents()
    assert [text for text in texts if text[-1].isdigit()] == axis


async def test_an_incomplete_bucket_is_hatched(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}) as shown:
        partial = shown.result["_meta"]["cekura/chart"]["plots"][0]["courses"][0]["partial"]
        fills = await shown.view.locator("svg[role=img] rect").evaluate_all(
            "rows => rows.map(row => row.getAttribute('fill'))"
        )
        assert [i for i, fill in enumerate(fills) if fill.startswith("url")] == partial


async def test_errors_and_cancelled_calls_are_shown_as_text(host: Host) -> None:
    async with host.show("get_widgets_data", {"dashboard_id": 99}) as shown:
        assert (await shown.text()).strip() == shown.result["content"][0]["text"]
        await shown.page.evaluate("window.tell('ui/notifications/tool-cancelled', {})")
        await shown.wait_for("document.body.innerText.includes('Cancelled.')")


async def test_the_theme_of_the_host_is_followed(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}) as shown:
        color = "getComputedStyle(document.body).backgroundColor"
        light = await shown.view.evaluate(color)
        await shown.change_theme("dark")
        assert await shown.view.evaluate(color) != light


HOSTILE = [
    "<img src=x onerror=\"document.title='hit'\">", "</script><script>document.title='hit'</script>", "javascript:alert(1)",
    "${document.title='hit'}", "\u202egnp.exe", "x" * 10_000, "&lt;b&gt;", "'\"`</text></svg><svg onload=\"document.title='hit'\">",
]  # fmt: skip


def with_hostile_text(answer: Json) -> Json:
    """The answer with hostile names, labels, notes and links."""
    turn = cycle(HOSTILE)

    def change(value: Any, key: str = "") -> Any:
        if is_object(value):
            return {name: change(item, name) for name, item in value.items()}
        if is_list(value):
            return [change(item, key) for item in value]
        if key in {
            "name",
            "label",
            "agent",
            "topic",
            "notes",
            "where",
            "dashboard",
            "top",
            "group",
            "error",
            "measure",
        } and isinstance(value, str):
            return next(turn)
        return "javascript:document.title='hit'" if key == "link" else value

    changed: Json = change(answer)
    return changed


@pytest.mark.no_cover
@pytest.mark.parametrize("name", ["dashboard", "compared", "compared pie", "explanation", "changes", "calls", "edit"])
async def test_hostile_text_is_shown_inert(host: Host, name: str) -> None:
    tool, arguments = CASES[name]
    async with host.show(tool, arguments, transform=with_hostile_text, width=494) as shown:
        await shown.view.evaluate(OPEN_ALL)
        await shown.wait_for("[...document.querySelectorAll('details')].every(node => node.children.length > 1)")
        assert await shown.view.evaluate("document.title") == "Cekura charts"
        assert await shown.view.locator("img, main script, a[href^=javascript]").count() == 0
        assert await shown.view.evaluate(OVERFLOWING) == []
        assert (shown.refused, shown.console) == ([], [])
        assert HOSTILE[0] in str(await shown.view.evaluate("root.textContent"))


PROBE = """
window.probes = {}
const probe = async (name, attempt) => { try { window.probes[name] = String(await attempt()) } catch { window.probes[name] = 'refused' } }
addEventListener('securitypolicyviolation', event => { window.probes[event.violatedDirective] = 'reported' })
window.probing = Promise.all([
  probe('fetch', () => fetch('http://elsewhere.test/')),
  probe('eval', () => (0, eval)('1')),
  probe('image', () => new Promise((done, failed) => { const image = new Image(); image.onload = done; image.onerror = failed; image.src = 'http://elsewhere.test/x.png' })),
  probe('parent', () => window.parent.document.title),
])
"""


async def test_the_view_works_under_the_strictest_content_security_policy(host: Host) -> None:
    async with host.show("get_widgets_data", {"widget_ids": [202]}, script=PROBE) as shown:
        await shown.view.evaluate("window.probing")
        probes = await shown.view.evaluate("window.probes")
        assert {name: probes[name] for name in ("fetch", "eval", "image", "parent")} == dict.fromkeys(
            ("fetch", "eval", "image", "parent"), "refused"
        )
        assert shown.refused == []


async def test_twelve_widgets_and_forty_slices_are_shown_completely(host: Host) -> None:
    app = new_sandbox()
    store = app.state.world.store
    week = {"field": "timestamp", "op": "gte", "value": "today-7d"}
    board = store.create_dashboard({"name": "Twelve", "project": 1, "filters": week})["id"]
    kinds = [
        {**BAR, "time_period": "day"},
        PIE,
        {"chart_type": "stat", "name": "S"},
        {"chart_type": "line", "field": "duration", "name": "L"},
    ]
    store.bulk(board, {"create": [{"data_type": None, **kind} for kind in kinds * 3]})

    def with_40_labels(answer: Json) -> Json:
        for where in (answer["_meta"]["cekura/chart"]["answer"], answer["structuredContent"]):
            for report in where["widgets"]:
                if "top" in (report.get("facts") or {}):
                    report["facts"]["top"] = [[f"label {i} of some length", 100 - i, 2.5] for i in range(40)]
        return answer

    async with (
        host_of(host.browser, app) as other,
        other.show("get_widgets_data", {"dashboard_id": board}, width=360, transform=with_40_labels) as shown,
    ):
        assert await shown.view.locator("section.card").count() == 12
        assert await shown.view.evaluate(OVERFLOWING) == []
        assert "label 39 of some length" in await shown.text()


@pytest.mark.no_cover
async def test_a_browser_shows_the_report_file_without_network_requests(browser: Browser, tmp_path: Path) -> None:
    connection = Connection(settings(), app_factory=shared_sandbox, now=now)
    report = await make_report(connection, dashboards=(), window="7d", compare_to="previous_period")
    file = tmp_path / "report.html"
    file.write_text(report.page, encoding="utf-8")
    context = await browser.new_context(viewport={"width": 900, "height": 700})
    page = await context.new_page()
    requests, messages = list[str](), list[str]()
    page.on("request", lambda request: requests.append(request.url))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("console", lambda message: messages.append(message.text))
    await page.goto(file.as_uri())
    frames = page.frame_locator("iframe")
    assert await page.locator("iframe").count() == 4
    for index, title in enumerate(["What changed", "Operations overview", "Booking agent", "Telecom quality"]):
        inside = frames.nth(index)
        await inside.locator("html[data-ready]").wait_for()
        assert title in await inside.locator("h1, h2").first.inner_text()
        assert await inside.locator("svg").count() > 3
    await page.wait_for_function(
        "() => [...document.querySelectorAll('iframe')].every(f => f.clientHeight >= f.contentDocument.body.scrollHeight)"
    )
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert [url for url in requests if not url.startswith(("file:", "about:"))] == []
    assert messages == []
    await context.close()
