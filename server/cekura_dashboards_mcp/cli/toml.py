"""Edit TOML in a file that people edit too: set or remove one table and keep all other lines."""

import re
import tomllib
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from cekura_dashboards.api.models import JsonObject, as_object
from cekura_dashboards_mcp.cli.jsonc import NotEditable

_HEADER = re.compile(r"[ \t]*\[")
Place = tuple[int, int]
"""A half-open range of lines, from 0."""
_NO_VALUE = re.compile(r"[ \t]*(#.*)?")


class Toml:
    """A text with tables.

    Raises:
        NotEditable: if it is not TOML, with the position.
    """

    def __init__(self, text: str) -> None:
        try:
            self.value: JsonObject = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            raise NotEditable(f"is not valid TOML: {error}") from None
        self.text = text

    def inner(self, outer: str) -> JsonObject:
        """The table of that name; an empty one if there is none.

        Raises:
            NotEditable: if it is not a table.
        """
        value = as_object(self.value.get(outer, {}))
        if value is None:
            raise NotEditable(f'has an unexpected structure: "{outer}" is not a table')
        return value

    def member(self, outer: str, name: str) -> Any:
        """A member of a table; None if there is none.

        Raises:
            NotEditable: as of ``inner``.
        """
        return self.inner(outer).get(name)

    def with_member(self, outer: str, name: str, value: Any) -> str:
        """The text with a table set inside another: in place of the existing one, or at the end.

        Raises:
            NotEditable: as of ``inner``.
        """
        expected = {**self.value, outer: {**self.inner(outer), name: value}}
        table, lines = self._ended(tomlkit.dumps({outer: {name: value}})), self._lines
        if name in self.inner(outer):
            texts = [self._with_lines(places, table) for places in self._places(outer, name)]
            return self._checked([*texts, self._edited(outer, name, value)], expected)
        text = self.text + ("" if not lines or lines[-1].endswith("\n") else self._line_end)
        gap = self._line_end if text.strip() and lines[-1].strip() else ""
        return self._checked([text + gap + table, self._edited(outer, name, value)], expected)

    def without_member(self, outer: str, name: str) -> str:
        """The text without a table inside another, and without the empty line before it.

        Raises:
            NotEditable: as of ``inner``.
        """
        if self.member(outer, name) is None:
            return self.text
        others = {other: value for other, value in self.inner(outer).items() if other != name}
        texts = [self._with_lines(places) for places in self._places(outer, name)]
        rest = {**self.value, outer: others}
        if not others:  # the enclosing table, if this one has no header of its own
            rest = {key: value for key, value in rest.items() if key != outer}
        return self._checked([*texts, self._edited(outer, name, None)], {**self.value, outer: others}, rest)

    @property
    def _lines(self) -> list[str]:
        return self.text.splitlines(keepends=True)

    @property
    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    def _ended(self, text: str) -> str:
        """The new text with the line ends of the file."""
        return text.replace("\n", self._line_end)

    def _places(self, outer: str, name: str) -> list[list[Place]]:
        """Possible line ranges of a table and its subtables; later ones skip lines that only look like a header."""
        header = re.compile(
            rf"""[ \t]*\[[ \t]*["']?{re.escape(outer)}["']?[ \t]*\.[ \t]*["']?{re.escape(name)}["']?[ \t]*[.\]]"""
        )
        places, inside = list[Place](), False
        for number, line in enumerate(self._lines):
            if _HEADER.match(line):
                inside = header.match(line) is not None
                if inside:
                    places.append((number, number + 1))
            elif inside and not _NO_VALUE.fullmatch(line.rstrip("\r\n")):
                places[-1] = (places[-1][0], number + 1)
        return [places[first:] for first in range(len(places))]

    def _with_lines(self, places: list[Place], table: str = "") -> str:
        """The text with a table in the first range; the other ranges, and an empty line before each, are removed."""
        lines, parts, end = self._lines, list[str](), 0
        for start, next_end in places:
            is_empty = start > end and not lines[start - 1].strip() and not table
            parts += [*lines[end : start - is_empty], table]
            end, table = next_end, ""
        return "".join([*parts, *lines[end:]])

    def _edited(self, outer: str, name: str, value: Any) -> str:
        """The same for a table without a header: inline, or with dotted keys."""
        document: Any = tomlkit.parse(self.text)
        try:
            if value is not None:
                document.setdefault(outer, tomlkit.table(is_super_table=True))[name] = value
            else:
                del document[outer][name]
        except (TOMLKitError, ValueError, TypeError, KeyError):
            return ""
        return str(document.as_string())

    def _checked(self, texts: list[str], *expected: JsonObject) -> str:
        """The first of the edited texts that reads as expected; nothing else is ever written."""
        for text in texts:
            try:
                if tomllib.loads(text) in expected:
                    return text
            except tomllib.TOMLDecodeError:
                continue
        raise NotEditable("cannot be edited in place")
