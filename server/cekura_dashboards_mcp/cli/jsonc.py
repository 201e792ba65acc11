"""Edit JSON in a file that people edit too: set or remove one member and keep all other bytes.

Comments and trailing commas (JSONC) are accepted if the program that owns the file accepts them. The libraries for
Python that preserve the text of such files need Node or Python 3.12, read JSON5, or have an incompatible licence.
"""

import json
import re
from typing import Any

from msgspec import Struct

from cekura_dashboards.api.models import JsonObject, as_object, is_list
from cekura_dashboards.text import NotJson, read_json

_TEXT = r'"[^"\\]*(?:\\.[^"\\]*)*"'
_COMMENT = re.compile(rf"{_TEXT}|(//[^\r\n]*|/\*.*?\*/)", re.DOTALL)
_TRAILING_COMMA = re.compile(rf"{_TEXT}|[\[{{,]\s*,|(,)(?=\s*[\]}}])", re.DOTALL)
_NOT_SPACE = re.compile(r"\S|\Z")
_LEAD = re.compile(r"[ \t]*")
_DECODER = json.JSONDecoder()


class NotEditable(NotJson):
    """The text has an unexpected form, or cannot be edited in place."""


class Member(Struct, frozen=True):
    """The position of a member: where its name begins, its value, and where the value and its comma, if any, end.

    The items of a list are members without a name.
    """

    name: str
    start: int
    value: int
    end: int
    comma: int | None


class Jsonc:
    """A text with an object; one with only white space and comments counts as an empty object.

    ``comments``, ``trailing_commas``: whether they are allowed (by default the latter if comments are). Otherwise they
    are errors.

    Raises:
        NotJson: with the position.
    """

    def __init__(self, text: str, *, comments: bool, trailing_commas: bool | None = None) -> None:
        trailing_commas = comments if trailing_commas is None else trailing_commas
        blanked = _COMMENT.sub(_blank, text) if comments else text
        if not blanked.strip():
            line_end = "\n" if text.strip() else ""
            text, blanked = f"{text}{line_end}{{}}\n", f"{blanked}{line_end}{{}}\n"
        self.text = text
        self._comments, self._trailing_commas = comments, trailing_commas
        self._blanked = blanked
        """The text with comments replaced by spaces."""
        self._strict = _TRAILING_COMMA.sub(_blank, blanked) if trailing_commas else blanked
        """The same with trailing commas replaced by spaces: JSON."""
        value = as_object(read_json(self._strict, duplicates=True))
        if value is None:
            raise NotEditable("contains no JSON object")
        self.value = value

    def inner(self, outer: str) -> JsonObject:
        """The object in a member of the whole; an empty one if there is no such member.

        Raises:
            NotEditable: if it is not an object, or occurs several times: programs read the last, people any.
        """
        self._only(self._start, outer)
        value = as_object(self.value.get(outer, {}))
        if value is None:
            raise NotEditable(f'has an unexpected structure: "{outer}" is not a JSON object')
        return value

    def member(self, outer: str, name: str) -> Any:
        """A member of an inner object; None if it is not there.

        Raises:
            NotEditable: as of ``inner``.
        """
        inner = self.inner(outer)
        if outer in self.value:
            self._only(self._inner(outer), name)
        return inner.get(name)

    def with_member(self, outer: str, name: str, value: Any) -> str:
        """The text with a member of an inner object set; a missing inner object is created.

        Raises:
            NotEditable: as of ``inner``.
        """
        self.member(outer, name)
        changed = {**self.value, outer: {**self.inner(outer), name: value}}
        if outer not in self.value:
            return self._checked(self._added(self._start, outer, {name: value}), changed)
        at = self._inner(outer)
        member = self._only(at, name)
        if member is None:
            return self._checked(self._added(at, name, value), changed)
        shown = self._written(value, self._lead(member.start) if self._begins_line(member.start) else None)
        return self._checked(self.text[: member.value] + shown + self.text[member.end :], changed)

    def without_member(self, outer: str, name: str) -> str:
        """The text without a member of an inner object, and without the comma that it needed.

        Raises:
            NotEditable: as of ``inner``.
        """
        if self.member(outer, name) is None:
            return self.text
        at = self._inner(outer)
        place = next(place for place, member in enumerate(self._members(at)[0]) if member.name == name)
        rest = {other: value for other, value in self.inner(outer).items() if other != name}
        return self._checked(self._without(at, place), {**self.value, outer: rest})

    def with_item(self, outer: str, item: JsonObject) -> str:
        """The text with an item in a list that is a member of the whole; a missing list is created.

        Raises:
            NotEditable: if it is not a list, or occurs several times.
        """
        items = self.items(outer)
        if item in items:
            return self.text
        changed = {**self.value, outer: [*items, item]}
        if outer not in self.value:
            return self._checked(self._added(self._start, outer, [item]), changed)
        return self._checked(self._added(self._inner(outer), "", item), changed)

    def without_item(self, outer: str, item: JsonObject) -> str:
        """The text without an item of a list that is a member of the whole.

        Raises:
            NotEditable: as of ``with_item``.
        """
        items = self.items(outer)
        if item not in items:
            return self.text
        place = items.index(item)
        rest = [*items[:place], *items[place + 1 :]]
        return self._checked(self._without(self._inner(outer), place), {**self.value, outer: rest})

    def items(self, outer: str) -> list[Any]:
        """The list that is a member of the whole; an empty one if there is no such member.

        Raises:
            NotEditable: as of ``with_item``.
        """
        self._only(self._start, outer)
        items = self.value.get(outer, [])
        if not is_list(items):
            raise NotEditable(f'has an unexpected structure: "{outer}" is not a list')
        return items

    def _without(self, at: int, place: int) -> str:
        """The text without one member of the object or list that begins there, and without the comma it needed."""
        members, close = self._members(at)
        member = members[place]
        start, end = self._space_before(member), member.comma or member.end
        head, tail = self.text[:start], self.text[end:]
        if len(members) == 1 and not (self.text[at + 1 : start] + self.text[end:close]).strip():
            head, tail = self.text[: at + 1], self.text[close:]
        elif member.comma is None and place and (comma := members[place - 1].comma):
            head = self.text[: comma - 1] + self.text[comma:start]
        return head + tail

    def _checked(self, text: str, expected: JsonObject) -> str:
        """The edited text, if it reads as expected; nothing else is ever written."""
        if Jsonc(text, comments=self._comments, trailing_commas=self._trailing_commas).value != expected:
            raise NotEditable("cannot be edited in place")
        return text

    @property
    def _start(self) -> int:
        return _next(self._blanked, 0)

    def _inner(self, outer: str) -> int:
        member = self._only(self._start, outer)
        return self._start if member is None else member.value

    def _members(self, at: int) -> tuple[list[Member], int]:
        """The members of the object or list that begins there, and the position of its closing brace or bracket."""
        members, place, is_object = list[Member](), _next(self._strict, at + 1), self._strict[at] == "{"
        while self._strict[place] not in "}]":
            name, value = "", place
            if is_object:
                name, colon = _DECODER.raw_decode(self._strict, place)
                value = _next(self._strict, _next(self._strict, colon) + 1)
            _, end = _DECODER.raw_decode(self._strict, value)
            after = _next(self._blanked, end)
            comma = after + 1 if self._blanked[after] == "," else None
            members.append(Member(name, place, value, end, comma))
            place = _next(self._strict, comma or end)
        return members, place

    def _only(self, at: int, name: str) -> Member | None:
        """The member of that name; None if there is none.

        Raises:
            NotEditable: if there are several.
        """
        members = [member for member in self._members(at)[0] if member.name == name]
        if len(members) > 1:
            lines = " and ".join(str(self.text.count("\n", 0, member.start) + 1) for member in members)
            raise NotEditable(f'contains "{name}" {len(members)} times, in lines {lines}; programs read only the last')
        return members[0] if members else None

    def _added(self, at: int, name: str, value: Any) -> str:
        """The text with another member at the end of the object that begins there, formatted like its neighbours."""
        members, close = self._members(at)
        if not members:
            return self._filled(at, close, name, value)
        last = members[-1]
        head, comma = self.text[: last.comma or last.end], "" if last.comma else ","
        if not self._begins_line(last.start):
            member = f"{self._label(at, name)}{self._written(value, None)}"
            return f"{head}{comma} {member}{',' if last.comma else ''}{self.text[last.comma or last.end :]}"
        lead = self._lead(last.start)
        comma_too = "," if last.comma else ""
        member = f"{self._line_end}{lead}{self._label(at, name)}{self._written(value, lead)}{comma_too}"
        end = len(self.text[:close].rstrip())  # comments after the last member stay with it
        return head + comma + self.text[len(head) : end] + member + self.text[end:]

    def _filled(self, at: int, close: int, name: str, value: Any) -> str:
        """The text with the first member of an object that is empty except for comments."""
        inside = self.text[at + 1 : close].rstrip()
        if at != self._start and "\n" not in self.text.strip():
            member = f"{self._label(at, name)}{self._written(value, None)}"
            return f"{self.text[: at + 1]}{inside}{member}{self.text[close:]}"
        outer = self._lead(at)
        lead = outer + self._indent
        member = f"{self._line_end}{lead}{self._label(at, name)}{self._written(value, lead)}"
        return f"{self.text[: at + 1]}{inside}{member}{self._line_end}{outer}{self.text[close:]}"

    def _label(self, at: int, name: str) -> str:
        """The label of a member of the object that begins there; empty in a list."""
        return f"{json.dumps(name)}: " if self._strict[at] == "{" else ""

    def _written(self, value: Any, lead: str | None) -> str:
        """A value as JSON; on several lines, each beginning with ``lead``, or on one if that is None."""
        if lead is None:
            return json.dumps(value, ensure_ascii=False)
        shown = json.dumps(value, ensure_ascii=False, indent=self._indent)
        return shown.replace("\n", self._line_end + lead)

    def _space_before(self, member: Member) -> int:
        """Where the white space before a member begins; the rest of its line must not become part of a comment."""
        start = len(self.text[: member.start].rstrip())
        is_after_comment = start > len(self._blanked[: member.start].rstrip())
        rest = self.text[member.comma or member.end :].lstrip(" \t")
        return member.start if is_after_comment and rest[:1] not in {"\r", "\n"} else start

    def _line_start(self, at: int) -> int:
        return max(self.text.rfind("\n", 0, at), self.text.rfind("\r", 0, at)) + 1

    def _begins_line(self, at: int) -> bool:
        return self._line_start(at) > 0 and not self.text[self._line_start(at) : at].strip()

    def _lead(self, at: int) -> str:
        """The white space at the beginning of the line of a position."""
        match = _LEAD.match(self.text, self._line_start(at))
        return match[0] if match else ""

    @property
    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def _indent(self) -> str:
        """The indentation of members, by the first member of the whole."""
        members, _ = self._members(self._start)
        lead = self._lead(members[0].start) if members and self._begins_line(members[0].start) else ""
        return lead or "  "


def _blank(match: re.Match[str]) -> str:
    """The text with the pattern's group replaced by spaces, line breaks kept; matches inside strings stay."""
    return match[0] if match[1] is None else re.sub(r"[^\r\n]", " ", match[1])


def _next(text: str, at: int) -> int:
    """The next position after white space."""
    match = _NOT_SPACE.search(text, at)
    return match.start() if match else len(text)
