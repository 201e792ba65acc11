"""Any sequence of edits, undone in reverse order, restores the initial content."""

from typing import Any

import hypothesis.strategies as st
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from cekura_dashboards.context import ToolContext
from support import Json, ask, content, new_sandbox, open_tools, release_sandboxes, scaled_examples

pytestmark = pytest.mark.no_cover
EDITS = 7
COLLEAGUES_WIDGET = "Of a colleague"
dashboard_names = st.sampled_from(["A", "B", "Topics", "Success rate", "Ünïcode 💥"])
filters = st.sampled_from(
    [
        {"field": "success", "op": "eq", "value": True},
        {"field": "timestamp", "op": "gte", "value": "today-3d"},
        {"operator": "or", "conditions": [{"field": "topic", "op": "in", "value": ["a", "b"]},
                                          {"field": "duration", "op": "gt", "value": 60}]},
    ]
)  # fmt: skip
group_bys = st.sampled_from([{"type": "field", "field": "agent.id"}, {"type": "bucket", "interval": 3_600_000}])
metadata = st.sampled_from([{"colour": "red"}, {"layout": {"x": 1, "y": 50, "w": 3, "h": 2}}, {"a": {"b": [1, None]}}])
changes = st.fixed_dictionaries(
    {}, optional={"name": dashboard_names, "filters": filters, "group_by": group_bys, "metadata": metadata}
)
clears = st.lists(st.sampled_from(["name", "filters", "group_by", "metadata"]), max_size=2, unique=True)
widgets = st.fixed_dictionaries(
    {"chart_type": st.just("pie"), "field": st.sampled_from(["topic", "success"])},
    optional={"name": dashboard_names, "filters": filters, "metadata": metadata},
)


def cleared_date_range(new: Json, clear: list[str]) -> list[str]:
    """The names to clear if new filters drop the date range on purpose."""
    touched = "filters" in new or "filters" in clear
    return ["date_range"] if touched and "timestamp" not in str(new.get("filters")) else []


class Editing(RuleBasedStateMachine):
    """Edits one sandbox; ``done`` holds each receipt with the lines restored since then."""

    portal: BlockingPortal
    context: ToolContext

    @initialize()
    def start(self) -> None:
        self.entered = start_blocking_portal()
        self.portal = self.entered.__enter__()
        self.app = new_sandbox(count=5)
        self.app.state.world.store.report_daily(
            1, {"daily_report_dashboard_ids": []}
        )  # undo does not restore entries of a report
        self.opened = self.portal.wrap_async_context_manager(open_tools(self.app))
        self.context, _ = self.opened.__enter__()
        self.before = content(self.app)
        self.done = list[tuple[Json, list[str]]]()
        self.others = 0

    def call(self, tool: str, arguments: Json) -> Json:
        async def call_with_plan() -> Json:
            _, receipt = await ask(self.context, tool, **arguments)
            if receipt["outcome"] == "needs_plan":
                _, receipt = await ask(self.context, tool, **arguments, plan_id=receipt["plan_id"])
            return receipt

        receipt = self.portal.call(call_with_plan)
        assert receipt["outcome"] in {"applied", "nothing_to_do"}
        assert "differences" not in receipt
        return receipt

    def edit(self, tool: str, **arguments: Any) -> None:
        receipt = self.call(tool, arguments)
        if receipt["outcome"] == "applied":
            self.done.append((receipt, []))

    def dashboards(self) -> list[int]:
        return [row["id"] for row in self.app.state.world.store.dashboards()]

    def widgets_on(self, dashboard: int) -> list[int]:
        return [widget["id"] for widget in self.app.state.world.store.dashboard(dashboard)["widgets"]]

    def draw_dashboard(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(self.dashboards()))

    @precondition(lambda self: bool(self.dashboards()))
    @rule(data=st.data(), new=changes, clear=clears)
    def change_a_widget(self, data: st.DataObject, new: Json, clear: list[str]) -> None:
        ids = self.widgets_on(self.draw_dashboard(data))
        clear = [name for name in clear if name not in new or name == "metadata"] + cleared_date_range(new, clear)
        if ids and (new or clear):
            optional = {"changes": new, "clear": clear}
            arguments = {name: value for name, value in optional.items() if value}
            self.edit("update_widget", widget_id=data.draw(st.sampled_from(ids)), **arguments)

    @precondition(lambda self: bool(self.dashboards()))
    @rule(data=st.data(), create=st.lists(widgets, max_size=2), new=changes)
    def edit_a_dashboards_widgets(self, data: st.DataObject, create: list[Json], new: Json) -> None:
        dashboard = self.draw_dashboard(data)
        ids = data.draw(st.permutations(self.widgets_on(dashboard)))
        lost, changed = ids[: data.draw(st.integers(0, 2))], ids[2:3]
        changes = {**new, **({"clear": cleared_date_range(new, [])} if cleared_date_range(new, []) else {})}
        optional = {"create": create, "delete": lost, "update": [{"id": number, **changes} for number in changed]}
        arguments = {name: value for name, value in optional.items() if value}
        if arguments:
            self.edit("bulk_edit_dashboard", dashboard_id=dashboard, **arguments)

    @rule(name=dashboard_names, project=st.sampled_from([1, 2]), first=st.lists(widgets, max_size=2))
    def create_a_dashboard(self, name: str, project: int, first: list[Json]) -> None:
        arguments = {"widgets": first} if first else {}
        self.edit("create_dashboard", name=name, project_id=project, **arguments)

    @precondition(lambda self: bool(self.dashboards()))
    @rule(data=st.data(), name=dashboard_names)
    def copy_a_dashboard(self, data: st.DataObject, name: str) -> None:
        self.edit("create_dashboard", name=name, copy_of=self.draw_dashboard(data))

    @precondition(lambda self: bool(self.dashboards()))
    @rule(
        data=st.data(),
        new=st.fixed_dictionaries({}, optional={"name": dashboard_names, "filters": filters}),
        clear=st.booleans(),
    )
    def change_a_dashboard(self, data: st.DataObject, new: Json, clear: bool) -> None:  # noqa: FBT001 - drawn
        lost = ["filters"] if clear and "filters" not in new else []
        lost += cleared_date_range(new, lost)
        arguments = {**new, **({"clear": lost} if lost else {})}
        if arguments:
            self.edit("update_dashboard", dashboard_id=self.draw_dashboard(data), **arguments)

    @precondition(lambda self: bool(self.dashboards()))
    @rule(data=st.data())
    def delete_a_dashboard(self, data: st.DataObject) -> None:
        self.edit("delete_dashboard", dashboard_id=self.draw_dashboard(data))

    @precondition(lambda self: bool(self.dashboards()))
    @rule(data=st.data())
    def copy_some_widgets(self, data: st.DataObject) -> None:
        source = self.draw_dashboard(data)
        project = self.app.state.world.store.dashboard(source)["project"]
        near = [n for n in self.dashboards() if self.app.state.world.store.dashboard(n)["project"] == project]
        if ids := self.widgets_on(source)[:2]:
            self.edit("copy_widgets", widget_ids=ids, dashboard_ids=data.draw(st.permutations(near))[:3])

    @precondition(lambda self: bool(self.dashboards()))
    @rule(data=st.data())
    def move_some_widgets(self, data: st.DataObject) -> None:
        source = self.draw_dashboard(data)
        project = self.app.state.world.store.dashboard(source)["project"]
        near = [n for n in self.dashboards() if self.app.state.world.store.dashboard(n)["project"] == project]
        if ids := self.widgets_on(source)[:2]:
            self.edit("copy_widgets", widget_ids=ids, dashboard_ids=[data.draw(st.sampled_from(near))], move=True)

    @precondition(lambda self: 11 in self.dashboards())
    @rule()
    def a_colleague_creates_a_widget(self) -> None:
        self.others += 1
        new = {"chart_type": "stat", "name": f"{COLLEAGUES_WIDGET} {self.others}", "dashboard": 11}
        self.app.state.world.store.create_widget(new)

    @precondition(lambda self: bool(self.done))
    @rule()
    def undo_the_last(self) -> None:
        receipt, restored = self.done.pop()
        arguments = {"restored": restored} if restored else {}
        answer = self.call(receipt["undo"]["tool"], {**receipt["undo"]["arguments"], **arguments})
        for _, lines in self.done:
            lines.extend(answer.get("restored", []))

    def teardown(self) -> None:
        if not hasattr(self, "done"):
            return
        try:
            while self.done:
                self.undo_the_last()
            store = self.app.state.world.store
            colleague_ids = [w["id"] for w in store.widgets() if str(w["name"]).startswith(COLLEAGUES_WIDGET)]
            assert len(colleague_ids) == self.others
            for number in colleague_ids:
                store.delete_widget(number)
            assert content(self.app) == self.before
        finally:
            self.opened.__exit__(None, None, None)
            self.entered.__exit__(None, None, None)
            release_sandboxes()


TestEditing = Editing.TestCase
TestEditing.settings = settings(max_examples=scaled_examples(200), stateful_step_count=EDITS)
