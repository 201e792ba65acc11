"""Near misses: did you mean this one."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The most similar of the known words, or None when none is near.

    >>> nearest("Sucess rate", ["Success rate", "Calls per day"]), nearest("colour", ["field", "name"])
    ('Success rate', None)
    """
    by_fold = {name.casefold(): name for name in known}
    found = get_close_matches(word.casefold(), by_fold, n=1, cutoff=0.6)
    return by_fold[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], *, limit: int = 12) -> str:
    """``did you mean `x`?``, or else the known words.

    >>> did_you_mean("dration", ["duration", "success"])
    'did you mean `duration`?'
    >>> did_you_mean("zzz", ["duration", "success"])
    'it can be `duration` or `success`.'
    """
    names = list(known)
    if match := nearest(word, names):
        return f"did you mean `{match}`?"
    return f"it can be {one_of(names, limit=limit)}."


def one_of(names: Iterable[str], *, limit: int = 12) -> str:
    """``a``, ``b`` or ``c``; past ``limit`` only how many more."""
    quoted = [f"`{name}`" for name in names]
    if len(quoted) > limit:
        return ", ".join(quoted[:limit]) + f" and {len(quoted) - limit} more"
    return " or ".join([", ".join(quoted[:-1]), quoted[-1]] if len(quoted) > 1 else quoted)


def listed(names: Iterable[str], *, limit: int = 6) -> str:
    """The names with commas; past ``limit`` only how many more.

    >>> listed(["a", "b"]), listed("abcd", limit=2)
    ('a, b', 'a, b and 2 more')
    """
    shown = list(names)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
