"""Edit YAML in a file that people edit too: set or remove one member of a mapping and keep all other lines.

The library gives the position of each node. Its own round trip would keep comments and order as well, but not the
indentation of lists and the line ends.
"""

import json
from io import StringIO
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from cekura_dashboards.api.models import JsonObject, as_object
from cekura_dashboards_mcp.cli.jsonc import NotEditable

Node = Any
"""A node of the library, whose nodes are untyped: ``id``, ``value``, its position, ``flow_style``."""
Member = tuple[Node, Node]
MAPPING, SCALAR = "mapping", "scalar"


class Yaml:
    """A text with one mapping; one with only white space and comments counts as an empty mapping.

    Raises:
        NotEditable: if it contains something else, or is not YAML, with the position.
    """

    def __init__(self, text: str) -> None:
        yaml: Any = YAML(typ="rt", pure=True)
        try:
            data, self._root = yaml.load(text), yaml.compose(text)
        except YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
            problem = str(getattr(error, "problem", None) or "one document is expected")
            raise NotEditable(f"is not valid YAML: {problem}{place}") from None
        except RecursionError:
            raise NotEditable("is nested too deeply") from None
        value = as_object({} if data is None else data)
        if value is None:
            raise NotEditable("contains no mapping")
        self.text = text
        self.value = value

    def inner(self, outer: str) -> JsonObject:
        """The mapping in a member of the whole; an empty one if there is none.

        Raises:
            NotEditable: if it is not a mapping.
        """
        value = self.value.get(outer)
        inner = as_object({} if value is None else value)
        if inner is None:
            raise NotEditable(f'has an unexpected structure: "{outer}" is not a mapping')
        return inner

    def member(self, outer: str, name: str) -> Any:
        """A member of an inner mapping; None if there is none.

        Raises:
            NotEditable: as of ``inner``.
        """
        return self.inner(outer).get(name)

    def with_member(self, outer: str, name: str, value: Any) -> str:
        """The text with a member of an inner mapping set: in place of the existing one, or before the others.

        Raises:
            NotEditable: as of ``inner``.
        """
        names = [name, *(other for other in self.inner(outer) if other != name)]
        return self._checked(self._with_member(outer, name, value), outer, names, (name, value))

    def without_member(self, outer: str, name: str) -> str:
        """The text without a member of an inner mapping.

        Raises:
            NotEditable: as of ``inner``.
        """
        if self.member(outer, name) is None:
            return self.text
        key, inner = self._pair(self._root, outer)
        names = [other for other in self.inner(outer) if other != name]
        return self._checked(self._without_member(key, inner, name), outer, names, None)

    def _with_member(self, outer: str, name: str, value: Any) -> str:
        if self._root is None or self._root.id != MAPPING:
            return self._ended + self._block({outer: {name: value}}, 0)
        if outer not in self.value:
            if self._root.flow_style:
                return self._inside_braces(self._root, outer, {name: value})
            return self._ended + self._block({outer: {name: value}}, self._root.start_mark.column)
        key, inner = self._pair(self._root, outer)
        if inner.id == MAPPING and inner.flow_style and (inner.value or self._root.flow_style):
            return self._inside_braces(inner, name, value)
        if inner.id == MAPPING and inner.value:
            block = self._block({name: value}, inner.value[0][0].start_mark.column)
            if name in self.inner(outer):
                start, end = self._lines_of(self._pair(inner, name))
                return self.text[:start] + block + self.text[end:]
            return self._after_line(key, block)
        block = self._block({name: value}, key.start_mark.column + 2)
        start, end = inner.start_mark.index, inner.end_mark.index
        return Yaml(self.text[:start].rstrip(" ") + self.text[end:])._after_line(key, block)  # noqa: SLF001 - its own class

    def _without_member(self, outer: Node, inner: Node, name: str) -> str:
        if not inner.flow_style:
            start, end = self._lines_of(self._pair(inner, name))
            if len(inner.value) > 1:
                return self.text[:start] + self.text[end:]
            colon = self.text.index(":", outer.end_mark.index) + 1
            return f"{self.text[:colon]} {{}}{self.text[colon:start]}{self.text[end:]}"
        place = next(place for place, (key, _) in enumerate(inner.value) if key.value == name)
        start, end = inner.value[place][0].start_mark.index, inner.value[place][1].end_mark.index
        if place:
            start = inner.value[place - 1][1].end_mark.index
        elif len(inner.value) > 1:
            end = inner.value[1][0].start_mark.index
        return self.text[:start] + self.text[end:]

    def _inside_braces(self, node: Node, name: str, value: Any) -> str:
        """A member as JSON, which is valid YAML inside braces."""
        shown = json.dumps(value, ensure_ascii=False)
        for key, present in node.value:
            if key.value == name:
                return self.text[: present.start_mark.index] + shown + self.text[present.end_mark.index :]
        start = node.start_mark.index + 1
        comma = ", " if node.value else ""
        return f"{self.text[:start]}{json.dumps(name)}: {shown}{comma}{self.text[start:]}"

    def _pair(self, mapping: Node, name: str) -> Member:
        return next((key, value) for key, value in mapping.value if key.value == name)

    def _lines_of(self, member: Member) -> tuple[int, int]:
        """The positions where the lines of a member begin and end."""
        start: int = self.text.rfind("\n", 0, member[0].start_mark.index) + 1
        end = self.text.find("\n", _end(member[1])) + 1
        return start, end or len(self.text)

    def _after_line(self, node: Node, block: str) -> str:
        """The text with lines inserted after the line of a position."""
        end = self.text.find("\n", node.end_mark.index) + 1
        if not end:
            return self._ended + block
        return self.text[:end] + block + self.text[end:]

    @property
    def _line_end(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def _ended(self) -> str:
        return self.text if not self.text or self.text.endswith("\n") else self.text + self._line_end

    def _block(self, value: JsonObject, column: int) -> str:
        """Members as lines, indented to that column."""
        yaml: Any = YAML(typ="rt", pure=True)
        written = StringIO()
        yaml.width = 10_000
        yaml.indent(mapping=2, sequence=4, offset=2)
        yaml.dump(value, written)
        return "".join(f"{' ' * column}{line}{self._line_end}" for line in written.getvalue().splitlines())

    def _checked(self, text: str, outer: str, names: list[str], member: tuple[str, Any] | None) -> str:
        """The edited text, if it reads as expected; nothing else is ever written."""
        after = Yaml(text)
        same = sorted(after.inner(outer)) == sorted(names) and {*after.value} == {*self.value, outer}
        if not same or (member and after.member(outer, member[0]) != member[1]):
            raise NotEditable("cannot be edited in place")
        return text


def _end(node: Node) -> int:
    """Where the last scalar in a node ends: a block node itself ends only where the next one begins."""
    if node.id != SCALAR and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if node.id == MAPPING else last)
    if node.id == SCALAR and node.style in {"|", ">"}:
        return int(node.end_mark.index) - 1
    return int(node.end_mark.index)
