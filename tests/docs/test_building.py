"""The places that docs/building.md lists exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PLACES: list[tuple[str, str]] = re.findall(
    r"^\|[^|]+\| `([\w/]+\.py)`: `(\w+)` \|$", (ROOT / "docs" / "building.md").read_text(encoding="utf-8"), re.MULTILINE
)


def test_building_lists_the_places_of_code() -> None:
    assert len(PLACES) > 10


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_modules_define_the_names_that_building_lists(path: str, name: str) -> None:
    body = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    assert name in {
        node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
