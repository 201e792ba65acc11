"""A writing tool: a plan that only reads, and a commit that carries it out."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.plan import Plan, not_yet
from cekura_dashboards.edits.receipt import Receipt, render
from cekura_dashboards.edits.restored import PlannedRequest
from cekura_dashboards.tool import Tool

Q = TypeVar("Q", bound=PlannedRequest)


class WritingTool(Tool[Q, Receipt], frozen=True, kw_only=True):
    """``plan`` writes nothing; ``carry_out`` takes its plan, once approved where it must be."""

    plan: Callable[[ToolContext, Q], Awaitable[Plan[Any]]]
    carry_out: Callable[[ToolContext, Plan[Any]], Awaitable[Receipt]]


def writing_tool(
    *,
    name: str,
    title: str,
    description: str,
    request: type[Q],
    plan: Callable[[ToolContext, Q], Awaitable[Plan[W]]],
    commit: Callable[[ToolContext, Plan[W]], Awaitable[Receipt]],
    destructive: bool = False,
    idempotent: bool = True,
) -> WritingTool[Q]:
    """The entry of the catalogue. ``commit`` only ever sees a plan that is to be carried out."""

    async def carry_out(context: ToolContext, plan: Plan[W]) -> Receipt:
        return not_yet(context, plan) or await commit(context, plan)

    return WritingTool(
        name=name,
        title=title,
        description=description,
        request=request,
        result=Receipt,
        render=render,
        writes=True,
        destructive=destructive,
        idempotent=idempotent,
        plan=plan,
        carry_out=carry_out,
    )
