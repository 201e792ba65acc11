"""Ids of what an undo created again: plans that are older know it by its old id.

A receipt lists ``widget 203 = 230 #s1gNed-_``; an older undo call takes such lines behind its plan_id, and then means
the new ids. The end of a line is a signature under the caller's key, so that a plan cannot be turned on another widget.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from pydantic import Field, field_validator, model_validator

from cekura_dashboards.api.errors import PlanRefused
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import as_object, is_list
from cekura_dashboards.edits.plan_id import Covered, Signer
from cekura_dashboards.edits.request import MOST_WIDGETS
from cekura_dashboards.tool import Request

LINE = re.compile(r"(dashboard|widget) (\d{1,15}) = (\d{1,15}) #([\w-]{8})", re.ASCII)
MAX_LINES = 400
_KINDS = {"widgets": "widget", "dashboards": "dashboard"}
"""The first word of a field that holds ids, to what they are ids of."""


class PlannedRequest(Request):
    """Arguments of every tool that writes."""

    plan_id: str | None = Field(
        default=None,
        description="of a dry run, a stopped delete or an undo; behind it the lines `restored` since",
    )
    restored: list[str] | None = Field(
        default=None, max_length=MAX_LINES, json_schema_extra={"hidden": True}, description="the lines alone"
    )

    @model_validator(mode="before")
    @classmethod
    def _split_plan_id(cls, value: Any) -> Any:
        """A plan_id as it was issued, and the lines that were put behind it."""
        fields = as_object(value)
        text = fields.get("plan_id") if fields else None
        if fields is None or not isinstance(text, str) or ";" not in text:
            return value
        plan_id, *lines = (part.strip() for part in text.split(";"))
        lines_sent = fields.get("restored")
        return {
            **fields,
            "plan_id": plan_id,
            "restored": [*(lines_sent if is_list(lines_sent) else []), *filter(None, lines)],
        }

    @field_validator("restored")
    @classmethod
    def _readable(cls, value: list[str] | None) -> list[str] | None:
        for line in value or []:
            if not LINE.fullmatch(line.strip()):
                raise fault("", "holds lines exactly as receipts give them.")
        return value

    def operations(self, tool: str) -> dict[str, object]:
        """What a plan_id vouches for: the tool and its arguments, as they were given."""
        arguments = self.model_dump(mode="json", exclude={"plan_id", "restored"}, exclude_none=True)
        return {"tool": tool, **arguments}

    def restores(self) -> str | None:
        """The path of an argument that says what was deleted before, as only an undo may; None if none does."""
        return None

    def ids(self, signer: Signer) -> "RestoredIds":
        """Which ids stand for which today.

        Raises:
            PlanRefused: for a line that this server did not write for this key.
        """
        return RestoredIds.from_lines(self.restored or [], signer)


def check_counts(request: PlannedRequest, **lists: Sequence[Any] | None) -> None:
    """Refuse more items than one call may hold, unless it is an undo or carries out a plan."""
    for name, items in lists.items():
        if request.plan_id is None and len(items or []) > MOST_WIDGETS:
            raise fault(name, f"is too long; at most {MOST_WIDGETS}.")


class RestoredIds(Struct, frozen=True):
    """Which ids stand for which today."""

    new: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])

    @classmethod
    def from_lines(cls, lines: Iterable[str], signer: Signer) -> "RestoredIds":
        new_ids = dict[tuple[str, int], int]()
        for text in lines:
            match = LINE.fullmatch(text.strip())
            if match is None or restored_line(signer, match[1], int(match[2]), int(match[3])) != text.strip():
                raise PlanRefused("restored holds a line that no receipt for this key has. Nothing was changed.")
            new_ids[match[1], int(match[2])] = int(match[3])
        return cls(new_ids)

    def now(self, kind: str, old: int) -> int:
        """The id that a thing has today."""
        visited = {old}
        while (following := self.new.get((kind, old))) is not None and following not in visited:
            old = following
            visited.add(old)
        return old

    def over_time(self) -> "Iterator[RestoredIds]":
        """What a plan of an earlier time may know of this: all of it still to come, less and less of it, none."""
        yield self
        lines = sorted(self.new.items(), key=lambda item: item[1])
        for count in range(1, len(lines) + 1):
            yield RestoredIds(dict(lines[count:]))

    def under_first_ids(self, covered: Covered) -> Covered:
        """What a plan covers, under the ids that its things had at first."""
        older = {(kind, new): old for (kind, old), new in self.new.items()}
        if not older:
            return covered

        def then(kind: str, number: int) -> int:
            visited = {number}
            while (before := older.get((kind, number))) is not None and before not in visited:
                number = before
                visited.add(number)
            return number

        fields_by_name = dict[str, Mapping[str, Any]]()
        for name, fields in covered.items():
            kind, _, number = name.partition(" ")
            if number.isdecimal():
                name = f"{kind} {then(kind, int(number))}"  # noqa: PLW2901 - the same thing under its first id
            fields_by_name[name] = {
                field: sorted(then(_KINDS[first], one) for one in ids)
                if (first := field.split(" ", 1)[0]) in _KINDS and is_list(ids)
                else ids
                for field, ids in fields.items()
            }
        return fields_by_name


def restored_line(signer: Signer, kind: str, old: int, new: int) -> str:
    """Say that something was created again, as ``RestoredIds`` reads it."""
    text = f"{kind} {old} = {new}"
    return f"{text} #{signer.fingerprint(['restored', text])}"
