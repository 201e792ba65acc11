"""Text that people wrote is data: cleaned, capped and quoted before it stands among the server's own words."""

import json
import re
import unicodedata
from typing import Any

LABEL_LIMIT = 80
MOST_NOTES, MOST_IN_A_NOTE = 10, 160
_PLACE = re.compile(r"\[\d+\]")
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_BIDI = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C])


def cleaned(text: str, *, limit: int = LABEL_LIMIT) -> str:
    r"""One line without control characters or bidirectional overrides, at most ``limit`` characters.

    >>> cleaned("two\nlines\x1b[31m")
    'two lines[31m'
    """
    spaced = " ".join(text[: limit * 8].translate(_BIDI).split())
    kept = "".join(char for char in spaced if unicodedata.category(char) not in HIDDEN)
    return kept if len(kept) <= limit else kept[: limit - 1] + "…"


def quoted(text: str, *, limit: int = 200, secret: str = "") -> str:
    """``cleaned``, without quotes that could end a quotation, and without ``secret``."""
    if secret:
        text = text.replace(secret, "[key]")
    return cleaned(text, limit=limit).replace('"', "'")


def json_text(value: Any) -> str:
    r"""Compact JSON; characters that could change how text is shown are escaped, so that it stays the same JSON.

    >>> json_text({"a": "b\u202ec"})
    '{"a":"b\\u202ec"}'
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return "".join(_escaped(char) if unicodedata.category(char) in HIDDEN else char for char in text)


def _escaped(char: str) -> str:
    return json.dumps(char)[1:-1]


def named(name: str | None) -> str:
    r"""A name in double quotes, or ``unnamed``.

    >>> named('The "big" one'), named(None)
    ('"The \'big\' one"', 'unnamed')
    """
    return f'"{quoted(name, limit=LABEL_LIMIT)}"' if name else "unnamed"


def condensed(notes: list[str]) -> list[str]:
    """Notes that differ only in the place they are about told once, and at most ten.

    >>> condensed(["create[0].type was read as chart_type", "create[1].type was read as chart_type"])
    ['create[0].type was read as chart_type (and 1 alike)']
    """
    alike = dict[str, list[str]]()
    for note in notes:
        alike.setdefault(_PLACE.sub("", note), []).append(cleaned(note, limit=MOST_IN_A_NOTE))
    told = [group[0] + (f" (and {len(group) - 1} alike)" if len(group) > 1 else "") for group in alike.values()]
    more = [f"{len(told) - MOST_NOTES} more of the kind"] if len(told) > MOST_NOTES else []
    return [*told[:MOST_NOTES], *more]
