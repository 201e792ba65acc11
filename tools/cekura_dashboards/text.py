"""Text and JSON. Untrusted text is data: sanitized, truncated, and quoted wherever it is printed."""

import json
import math
import re
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Container, Iterable
from difflib import get_close_matches
from itertools import chain
from typing import Annotated, Any, Self

from pydantic import GetCoreSchemaHandler, WrapValidator
from pydantic_core import CoreSchema, core_schema

LABEL_LIMIT = 80
MAX_NOTES, MAX_NOTE = 10, 400
"""Maximum notes of an answer, and characters of a note: the longest has 230, unless it contains names."""
_BLANKS, _ALIKE = re.compile(r"\A\s+|\s+\Z|\s{2,}"), re.compile(r"(\s)\1*")
_USER = re.compile(r"(?:(?<=//)|^)[^/?#\s]*@")
_PLACE = re.compile(r"\[\d+\]")
_IGNORABLE = (
    (0x34F, 0x34F), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F), (0x2800, 0x2800), (0x3164, 0x3164),
    (0xFE00, 0xFE0F), (0xFFA0, 0xFFA0), (0xE0000, 0xE0FFF),
)  # fmt: skip
"""Invisible letters and marks: Default_Ignorable_Code_Point of Unicode 16 beyond the general categories, and the
Braille blank."""
_EDGES = [*chain.from_iterable((first, last + 1) for first, last in _IGNORABLE)]


def is_hidden(char: str) -> bool:
    r"""Whether a character is invisible, breaks the line, or changes how others are displayed.

    >>> [is_hidden(char) for char in ("a", " ", "\n", "\u202e", "\ufe0f", "\u3164")]
    [False, False, True, True, True, True]
    """
    return not char.isprintable() or bisect_right(_EDGES, ord(char)) % 2 == 1


def spelled_blanks(text: str) -> str:
    r"""The text with the blank and hidden characters spelled out that ``clean`` would remove or merge.

    >>> spelled_blanks("Calls  per day\u200b")
    'Calls[U+0020 x2]per day[U+200B]'
    """
    spelled = _BLANKS.sub(lambda run: _ALIKE.sub(lambda alike: _spelled(alike[1], len(alike[0])), run[0]), text)
    return "".join(_spelled(char) if is_hidden(char) else char for char in spelled)


def _spelled(char: str, times: int = 1) -> str:
    return f"[U+{ord(char):04X}{f' x{times}' if times > 1 else ''}]"


def clean(text: str, *, limit: int = LABEL_LIMIT) -> str:
    r"""One line without hidden characters, at most ``limit`` characters.

    >>> clean("two\nlines\x1b[31m")
    'two lines[31m'
    """
    spaced = " ".join(text[: limit * 8].split())
    if not (spaced.isascii() and spaced.isprintable()):
        spaced = " ".join("".join(char for char in spaced if not is_hidden(char)).split())
    return spaced if len(spaced) <= limit else spaced[: limit - 1] + "…"


_LIVE = re.compile(
    r"(?<=\])[(:]|<(?=[a-z/!?])|(?<!cekura):(?=//)|(?<=mailto):|(?<=xmpp):|(?<=www)\."
    r"|(?<=[\w-])(?!(?:(?<=\bagent)|(?<=\bmetric)|(?<=\bmetadata))\.\w+(?![\w./:@-]))\."
    r"(?=(?:[a-z]{2}|com|org|net|edu|gov|mil|int|info|biz|app|dev|web|pro|asia|coop|name|museum|aero|cloud"
    r"|online|site|shop|store|tech|xyz|[a-z]{2,24}(?=[/:]))(?![\w-]))"
    r"|(?<=//)[\w.-]+|(?<=\w@)[\w.-]+"
    r"|&(?=\#\w{1,8};|[a-z]\w{1,31};)|\\(?=[:/])|(?<=\w)\\(?=\.[a-z]{2})",
    re.IGNORECASE,
)
"""Where Markdown or HTML starts a link, an image, a reference definition or a tag, or a renderer detects an address;
also escapes and entities, as some renderers detect addresses after decoding them. ``agent.id`` is a field."""
_SMALL = dict(zip("(:<.&\\", "\ufe59\ufe55\ufe64\ufe52\ufe60\ufe68", strict=True))
"""Small form variants: they look alike, are used in no language, and have no meaning to a renderer."""
_USUAL = str.maketrans({small: char for char, small in _SMALL.items()})
_ESCAPED = re.compile(r"\\u00(28|3a|3c|2e|26|5c)")


def inert(text: str) -> str:
    """The text without anything that a chat client would load or link; ``as_meant`` reverses it.

    ``_``, ``*`` and lone brackets stay.

    >>> inert("![i](https://a.example/b) <img src=x>"), inert("[VIP] *new* (<5 s)")
    ('![i]﹙https﹕//a﹒example/b) ﹤img src=x>', '[VIP] *new* (<5 s)')
    """
    return _LIVE.sub(lambda match: "".join([_SMALL.get(char, char) for char in match[0]]), text)


def as_meant(text: str) -> str:
    r"""The text before ``inert`` or ``json_text`` changed it.

    >>> as_meant(inert("[a](https://b.example)")), as_meant(r"[a]\u0028b)")
    ('[a](https://b.example)', '[a](b)')
    """
    if "\\u00" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    return text if text.isascii() else text.translate(_USUAL)


class UntrustedText(str):
    r"""Text written by people or the API: sanitized at once, quoted and inert wherever it is printed.

    As a value, in JSON and in comparisons, it is the sanitized text without quotes.

    >>> name = UntrustedText('two\nlines "quoted"')
    >>> f"{name}", name == 'two lines "quoted"', UntrustedText(name) is name
    ('"two lines \'quoted\'"', True, True)
    """

    __slots__ = ()

    def __new__(cls, text: str, *, limit: int = LABEL_LIMIT) -> Self:
        if type(text) is cls and len(text) <= limit:
            return text
        return super().__new__(cls, clean(str.__str__(text), limit=limit))

    def __str__(self) -> str:
        return '"' + inert(self.replace('"', "'")) + '"'

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any, read: Callable[[Any], str]) -> "UntrustedText":
            return value if isinstance(value, cls) else cls(read(value))

        return core_schema.no_info_wrap_validator_function(validate, core_schema.str_schema())


SafeText = Annotated[str, WrapValidator(lambda value, read: value if isinstance(value, UntrustedText) else read(value))]
"""Text in an answer: this program's own, or ``UntrustedText``."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[\dT:.Z+-]{0,24}", re.ASCII)


def word(text: Any, words: Container[str], *, limit: int = LABEL_LIMIT) -> str:
    """A known word unchanged, any other as ``UntrustedText``.

    >>> f"{word('bar', {'bar', 'pie'})} {word('list', {'bar', 'pie'})}"
    'bar "list"'
    """
    return text if isinstance(text, str) and text in words else UntrustedText(str(text), limit=limit)


def unquoted(text: str) -> str:
    """Text of an answer as a plain string, for use as a value.

    >>> f"{unquoted(UntrustedText('a b'))}"
    'a b'
    """
    return text[:]


def time_text(text: str | None) -> str | None:
    """A time from the API if it is ISO 8601; anything else as ``UntrustedText``; None for none.

    >>> f"{time_text('2026-11-21T04:20:00Z')} {time_text('2026 undo: x')}"
    '2026-11-21T04:20:00Z "2026 undo: x"'
    """
    return text if text and _TIME.fullmatch(text) else untrusted(text, limit=40)


def untrusted(text: str | None, *, limit: int = LABEL_LIMIT) -> UntrustedText | None:
    """The text as ``UntrustedText``; None for an empty one."""
    return UntrustedText(text, limit=limit) if text else None


def named(name: str | None) -> str:
    r"""A name in double quotes, or ``unnamed``.

    >>> named('The "big" one'), named(None)
    ('"The \'big\' one"', 'unnamed')
    """
    return str(UntrustedText(name)) if name else "unnamed"


def quoted(text: str, *, limit: int = 200, secret: str = "") -> str:
    """``clean``, without double quotes and without ``secret``."""
    if secret:
        text = text.replace(secret, "[key]")
    return clean(text, limit=limit).replace('"', "'")


def shown_setting(text: str) -> str:
    """The value of a variable for errors: without the user and password in an address.

    >>> shown_setting("https://me:secret@api.example"), shown_setting("me:secret@proxy:80"), shown_setting("12")
    ('https://…@api.example', '…@proxy:80', '12')
    """
    return quoted(_USER.sub("…@", text), limit=60)


def _inert_json(text: str) -> str:
    """The same JSON with inert strings; its backslashes are doubled and hide nothing."""
    replacements = {char: f"\\u{ord(char):04x}" for char in _SMALL if char != "\\"}
    return _LIVE.sub(lambda match: "".join([replacements.get(char, char) for char in match[0]]), text)


def json_text(value: Any) -> str:
    r"""Compact JSON; characters that affect display are escaped, so that the value stays the same.

    >>> json_text({"a": "b\u202ec"}), json_text("[a](b)")
    ('{"a":"b\\u202ec"}', '"[a]\\u0028b)"')
    """
    text = _inert_json(json.dumps(value, separators=(",", ":"), ensure_ascii=False))
    if text.isascii() and text.isprintable():
        return text
    return "".join(json.dumps(char)[1:-1] if is_hidden(char) else char for char in text)


def short_json(value: Any, *, limit: int = LABEL_LIMIT) -> str:
    """``json_text``, truncated to ``limit`` characters."""
    return cut(json_text(value), limit)


def cut(text: str, limit: int) -> str:
    """The text, truncated to ``limit`` characters."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def condense(notes: list[str]) -> list[str]:
    """Merge notes that differ only in an index; at most ten remain.

    >>> condense(["create[0].type was read as chart_type", "create[1].type was read as chart_type"])
    ['create[0].type was read as chart_type (and 1 more)']
    """
    alike = dict[str, list[str]]()
    for note in notes:
        alike.setdefault(_PLACE.sub("", note), []).append(clean(note, limit=MAX_NOTE))
    lines = [group[0] + (f" (and {len(group) - 1} more)" if len(group) > 1 else "") for group in alike.values()]
    more = [f"{len(lines) - MAX_NOTES} more notes"] if len(lines) > MAX_NOTES else []
    return [*lines[:MAX_NOTES], *more]


def nearest(word: str, words: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The most similar of the words, or None; ``cutoff``: the minimum similarity, up to 1.

    >>> nearest("Sucess rate", ["Success rate", "Calls per day"]), nearest("colour", ["field", "name"])
    ('Success rate', None)
    """
    by_fold = {name.casefold(): name for name in words}
    matches = get_close_matches(word.casefold(), by_fold, n=1, cutoff=cutoff)
    return by_fold[matches[0]] if matches else None


def did_you_mean(word: str, words: Iterable[str], *, limit: int = 12) -> str:
    """``did you mean `x`?``, or else the possible words.

    >>> did_you_mean("dration", ["duration", "success"])
    'did you mean `duration`?'
    >>> did_you_mean("zzz", ["duration", "success"])
    'use `duration` or `success`.'
    """
    names = list(words)
    if match := nearest(word, names):
        return f"did you mean `{match}`?"
    return f"use {one_of(names, limit=limit)}."


def one_of(names: Iterable[str], *, limit: int = 12) -> str:
    """``a``, ``b`` or ``c``; beyond ``limit`` only their number."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > limit:
        return ", ".join(quoted[:limit]) + f" and {len(quoted) - limit} more"
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def counted(count: float, noun: str) -> str:
    """``1 call``, ``12 calls``.

    >>> counted(1, "call"), counted(0, "more chart")
    ('1 call', '0 more charts')
    """
    return f"{plain(count)} {noun}{'' if count == 1 else 's'}"


def noun_and_names(noun: str, names: Iterable[object], *, limit: int = 6) -> str:
    """The names after their noun, in the plural where there are several; beyond ``limit`` only their number.

    >>> noun_and_names("widget", [201]), noun_and_names("widget", [201, 202, 203], limit=2)
    ('widget 201', 'widgets 201, 202 and 1 more')
    """
    texts = [str(name) for name in names]
    return f"{noun}{'' if len(texts) == 1 else 's'} {join_names(texts, limit=limit)}"


def join_names(names: Iterable[str], *, limit: int = 6) -> str:
    """The names with commas; beyond ``limit`` only their number.

    >>> join_names(["a", "b"]), join_names("abcd", limit=2)
    ('a, b', 'a, b and 2 more')
    """
    all_names = list(names)
    more = f" and {len(all_names) - limit} more" if len(all_names) > limit else ""
    return ", ".join(all_names[:limit]) + more


def plain(value: Any) -> str:
    """A value as in JSON; of strings only untrusted ones are quoted."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    return _inert_json(json.dumps(value))


MAX_DEPTH = 100
"""Maximum levels of nesting: more than any board or configuration has, fewer than Python's recursion limit."""


class NotJson(ValueError):
    """``str()`` is one line, to follow the name of the input."""


def read_json(text: str | bytes, *, duplicates: bool = False) -> Any:
    r"""The JSON value of a text. Bytes are UTF-8, UTF-16 (as from Windows PowerShell) or UTF-32, with or without a BOM.

    >>> read_json('{"a": 1}'.encode("utf-16")), read_json(b"\xef\xbb\xbf[]")
    ({'a': 1}, [])

    ``duplicates``: whether an object may repeat a key; the last value counts.

    Raises:
        NotJson: also if it is nested too deeply or a number is too long.
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
        raise NotJson("is not UTF-8, UTF-16 or UTF-32 text") from None
    except RecursionError:
        raise _too_deep() from None
    except ValueError:  # the only other case
        raise NotJson(f"has a number of more than {sys.get_int_max_str_digits()} digits") from None
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
        raise NotJson(f'repeats the key "{quoted(name, limit=60)}" in one object')
    return members_by_name


def _finite(text: str) -> float:
    """A finite number."""
    if not math.isfinite(number := float(text)):
        raise NotJson(f"has {clean(text, limit=40)}, which is not a finite number")
    return number


def _inside(value: dict[str, Any] | list[Any] | str | float | None) -> list[Any]:
    if isinstance(value, dict):
        return [*value.values()]
    return value if isinstance(value, list) else []


def _too_deep() -> NotJson:
    return NotJson(f"is nested more than {MAX_DEPTH} levels deep")
