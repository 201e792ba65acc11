"""Sending edits, and reading back the outcome when the response is lost."""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import (
    ApiFault,
    ConnectionBroken,
    DashboardsError,
    DeadlinePassed,
    EditFailed,
    NotFound,
    UnexpectedStatus,
    Unreachable,
    UnreadableAnswer,
)
from cekura_dashboards.api.models import BulkResult, JsonObject, Widget, as_list, as_object, same
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import MOST_SHOWN, Stored, WidgetEdits
from cekura_dashboards.text import inert, json_text, quoted
from cekura_dashboards.values import replace

MAX_ERRORS = 5
READ_BACK_S = 10.0
"""Time to read back after a lost response, beyond the call's own deadline."""
READ_BACK_WAITS_S = (0.0, 0.5, 1.5)
"""Waits before each read-back: a write may still be in progress, or a read-back may fail."""
GATEWAY_FAULTS = {502, 504}
IN_DOUBT = (ConnectionBroken, DeadlinePassed, ApiFault, UnreadableAnswer, UnexpectedStatus)


T = TypeVar("T")


class WriteResult(NamedTuple, Generic[T]):
    """The stored state after a write. ``read_back``: the response was lost, so it was read afterwards."""

    stored: T
    read_back: bool


class ReadBack(NamedTuple, Generic[T]):
    """The outcome of each operation, by name, and the stored state."""

    outcomes: dict[str, str]
    stored: T


async def commit_update(context: ToolContext, edits: WidgetEdits) -> Stored:
    """Send the change of one widget.

    Raises:
        EditFailed: when the response was lost and the change was not applied, or that is unknown.
    """
    [(number, fields)] = edits.updates.items()
    what = f"update of widget {number}"

    async def look(api: CekuraClient) -> ReadBack[Widget]:
        stored = await api.get_widget(number)
        return ReadBack({what: _outcome(edits.before[number], fields, stored)}, stored)

    widget, read_back = await write_or_read_back(context, context.api.update_widget(number, fields), [what], look)
    return Stored(edits=edits, updated={number: widget}, read_back=read_back)


async def commit_bulk(context: ToolContext, edits: WidgetEdits) -> Stored:
    """Send a bulk edit as one transaction; if the API applies only a part, report that part.

    Raises:
        EditFailed: when the API reported errors, or the response was lost, and nothing was applied.
    """
    dashboard_id = edits.dashboard_id or 0
    try:
        done = await context.api.bulk_widgets(
            dashboard_id,
            create=edits.creates,
            update=[{"id": number, **fields} for number, fields in edits.updates.items()],
            delete=edits.deletes,
        )
    except IN_DOUBT as error:
        doubt = UnknownOutcome[Stored](context, str(error), may_still_arrive=may_still_arrive(error))
    else:
        if not done.errors and _names_all(edits, done):
            updated = {widget.id: widget for widget in done.updated}
            return Stored(edits=edits, created=_in_order(edits, done.created), updated=updated)
        cause = "The API's response does not list every operation."
        if done.errors:
            key = context.api.key.get_secret_value()
            errors_text = "; ".join(_error_in_words(entry, key) for entry in done.errors[:MAX_ERRORS])
            cause = f"The API reported errors: {errors_text}."
        doubt = UnknownOutcome[Stored](context, cause, may_still_arrive=False)
    outcomes, stored = await doubt.settle(_operation_names(edits), _look(edits, dashboard_id))
    not_applied = {name: outcome for name, outcome in outcomes.items() if outcome != "applied"}
    return replace(stored, not_applied=not_applied, cause=doubt.cause if not_applied else None)


def _error_in_words(entry: Any, key: str) -> str:
    """An error in the API's response, whose form is not documented: its parts by name, texts quoted."""
    parts = as_object(entry) or {"": entry}
    phrases = list[str]()
    for name, value in parts.items():
        texts = [text if isinstance(text, str) else json_text(text) for text in as_list(value) or [value]]
        quoted_texts = [text if text.isdecimal() else f'"{inert(quoted(text, secret=key))}"' for text in texts]
        phrases.append(f"{inert(quoted(name, limit=MOST_SHOWN, secret=key))} {' '.join(quoted_texts)}".strip())
    return ", ".join(phrases)


def _names_all(edits: WidgetEdits, done: BulkResult) -> bool:
    """Whether the response lists every operation."""
    return (
        len(done.created) == len(edits.creates)
        and {widget.id for widget in done.updated} == set(edits.updates)
        and set(done.deleted) == set(edits.deletes)
    )


def _in_order(edits: WidgetEdits, created: list[Widget]) -> list[Widget]:
    """The created widgets in the requested order, matched by content; the rest as received."""
    remaining, widget_by_place = [*created], dict[int, Widget]()
    for index, config in enumerate(edits.creates):
        twin = next((widget for widget in remaining if _holds(widget, config)), None)
        if twin is not None:
            widget_by_place[index] = twin
            remaining.remove(twin)
    return [
        widget_by_place[index] if index in widget_by_place else remaining.pop(0) for index in range(len(edits.creates))
    ]


def _look(edits: WidgetEdits, dashboard_id: int) -> Callable[[CekuraClient], Awaitable[ReadBack[Stored]]]:
    """A function that reads the dashboard back and returns the outcome of each operation."""

    async def look(api: CekuraClient) -> ReadBack[Stored]:
        try:
            widgets = (await api.get_dashboard(dashboard_id)).widgets
        except NotFound:
            widgets = list[Widget]()
        return _compare_with_stored(edits, {widget.id: widget for widget in widgets})

    return look


def may_still_arrive(error: DashboardsError) -> bool:
    """Whether the write may still be applied later: no complete response came from the API itself."""
    return isinstance(error, Unreachable) or (isinstance(error, ApiFault) and error.status in GATEWAY_FAULTS)


class UnknownOutcome(Struct, Generic[T], frozen=True):
    """A write with an unknown outcome, which is read back and never sent again."""

    context: ToolContext
    cause: str
    may_still_arrive: bool

    async def settle(self, names: list[str], look: Callable[[CekuraClient], Awaitable[ReadBack[T]]]) -> ReadBack[T]:
        """The outcome of each operation, and the stored state.

        A missing change counts as not applied only if the write cannot arrive later. A read-back that fails or is
        inconclusive is repeated.

        Raises:
            EditFailed: if nothing was applied.
        """
        api = self.context.api.within(READ_BACK_S)
        outcomes, read_back = dict.fromkeys(names, "unknown"), list[T]()
        for wait_s in READ_BACK_WAITS_S:
            if wait_s:
                await api.sleep(wait_s)
            try:
                outcomes, stored = await look(api)
            except DashboardsError:
                continue
            read_back = [stored]
            if set(outcomes.values()) == {"applied"}:
                return ReadBack(outcomes, stored)
            if not self.may_still_arrive and "unknown" not in outcomes.values():
                break
        if self.may_still_arrive:
            outcomes = {name: "unknown" if outcome == "not applied" else outcome for name, outcome in outcomes.items()}
        if read_back and "applied" in outcomes.values():
            return ReadBack(outcomes, read_back[-1])
        raise EditFailed(self.cause, outcomes) from None


async def write_or_read_back(
    context: ToolContext,
    write: Awaitable[T],
    names: list[str],
    look: Callable[[CekuraClient], Awaitable[ReadBack[T]]],
) -> WriteResult[T]:
    """The result of a write, or of ``look`` if the response was lost.

    Raises:
        EditFailed: when the response was lost and not everything was applied.
    """
    try:
        return WriteResult(await write, read_back=False)
    except IN_DOUBT as error:
        doubt = UnknownOutcome[T](context, str(error), may_still_arrive=may_still_arrive(error))
        return WriteResult((await doubt.settle(names, look)).stored, read_back=True)


async def read_again(context: ToolContext, ask: Callable[[CekuraClient], Awaitable[T]]) -> T | None:
    """The stored state after a write, with repeated attempts; None if all fail."""
    api = context.api.within(READ_BACK_S)
    for wait_s in READ_BACK_WAITS_S:
        if wait_s:
            await api.sleep(wait_s)
        try:
            return await ask(api)
        except DashboardsError:
            continue
    return None


def surely_not_applied(error: DashboardsError) -> bool:
    """Whether a failed write certainly stored nothing, so that it may be repeated."""
    return not isinstance(error, EditFailed) or set(error.outcomes.values()) == {"not applied"}


def _compare_with_stored(edits: WidgetEdits, now: dict[int, Widget]) -> ReadBack[Stored]:
    """The outcome of each operation according to the stored widgets, and the applied edits."""
    fresh = [widget for number, widget in now.items() if number not in edits.widgets]
    created, outcomes = dict[int, Widget](), dict[str, str]()
    for index, (name, config) in enumerate(zip(_operation_names(edits), edits.creates, strict=False)):
        twin = next((w for w in fresh if w not in created.values() and _holds(w, config)), None)
        outcomes[name] = "applied" if twin else "unknown" if fresh else "not applied"
        if twin:
            created[index] = twin
    updated = dict[int, Widget]()
    for number, fields in edits.updates.items():
        outcome = outcomes[f"update of widget {number}"] = _outcome(edits.before[number], fields, now.get(number))
        updated |= {number: now[number]} if outcome == "applied" else {}
    for number in edits.deletes:
        outcomes[f"delete of widget {number}"] = "not applied" if number in now else "applied"
    carried_out = replace(
        edits,
        creates=[edits.creates[index] for index in created],
        old_ids=tuple(edits.old_ids[index] for index in created if index < len(edits.old_ids)),
        updates={number: edits.updates[number] for number in updated},
        deletes=[number for number in edits.deletes if number not in now],
    )
    stored = Stored(edits=carried_out, created=[*created.values()], updated=updated, read_back=True)
    return ReadBack(outcomes, stored)


def _operation_names(edits: WidgetEdits) -> list[str]:
    """The names of the operations; creates by number, as they have no id yet."""
    return [
        *(f"create {index + 1}" for index in range(len(edits.creates))),
        *(f"update of widget {number}" for number in edits.updates),
        *(f"delete of widget {number}" for number in edits.deletes),
    ]


def _outcome(before: Widget, fields: JsonObject, stored: Widget | None) -> str:
    if stored is None:
        return "unknown"
    if _holds(stored, fields):
        return "applied"
    return "not applied" if all(same(stored.stored(name), before.stored(name)) for name in fields) else "unknown"


def _holds(widget: Widget, fields: JsonObject) -> bool:
    return all(same(widget.stored(name), value) for name, value in fields.items())
