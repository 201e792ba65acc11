"""JSON that people hand in, in files or on the command line."""

import json
import math
import sys
from collections import Counter
from typing import Any

from cekura_dashboards.api.models import is_list, is_object
from cekura_dashboards.text import clean, quoted

MAX_DEPTH = 100
"""Objects and lists inside each other: far more than any board or configuration has, far fewer than Python can nest."""


class NotJson(ValueError):
    """``str()`` says in one line what is wrong, to stand after the name of what was read."""


def read_json(text: str | bytes, *, duplicates: bool = False) -> Any:
    r"""What a text holds. Bytes are UTF-8, UTF-16 (as Windows PowerShell writes it) or UTF-32, with a mark or without.

    >>> read_json('{"a": 1}'.encode("utf-16")), read_json(b"\xef\xbb\xbf[]")
    ({'a': 1}, [])

    ``duplicates``: whether a key may stand in one object several times; the last one counts.

    Raises:
        NotJson: also for what is nested too deep, or holds a number that is too long.
    """
    try:
        parsed = json.loads(
            text.removeprefix("\ufeff") if isinstance(text, str) else text,
            object_pairs_hook=dict if duplicates else _object,
            parse_float=_finite,
            parse_constant=_finite,
        )
    except NotJson:
        raise
    except json.JSONDecodeError as error:
        raise NotJson(f"is not JSON: {error.msg} in line {error.lineno}, column {error.colno}") from None
    except UnicodeDecodeError:
        raise NotJson("is not text in UTF-8, UTF-16 or UTF-32") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # the only other one
        raise NotJson(f"holds a number of more than {sys.get_int_max_str_digits()} digits") from None
    level: list[Any] = [parsed]
    for _ in range(MAX_DEPTH):
        level = [item for value in level for item in _inside(value)]
        if not level:
            return parsed
    raise _too_deep()


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    members_by_name = dict(members)
    if len(members_by_name) < len(members):
        [(name, _)] = Counter(name for name, _ in members).most_common(1)
        raise NotJson(f'holds the key "{quoted(name, limit=60)}" several times in one object')
    return members_by_name


def _finite(text: str) -> float:
    """A number; not what only Python takes for one, nor one that it takes for infinite."""
    if not math.isfinite(number := float(text)):
        raise NotJson(f"holds {clean(text, limit=40)}, which is no number that JSON can hand on")
    return number


def _inside(value: Any) -> list[Any]:
    return [*value.values()] if is_object(value) else value if is_list(value) else []


def _too_deep() -> NotJson:
    return NotJson(f"is nested more than {MAX_DEPTH} levels deep")
