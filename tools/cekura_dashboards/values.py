"""Values that do not change: ``msgspec.Struct``, which takes a fortieth of a data class's time to define."""

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

from msgspec import Struct

if TYPE_CHECKING:
    from dataclasses import replace  # type checkers take a Struct for a data class, and check what is put in its place
else:
    from msgspec.structs import replace

__all__ = ["Memoised", "replace"]

T = TypeVar("T")


class Memoised(Struct, frozen=True, dict=True):
    """A value that keeps what was made of it. That stands beside the fields: a changed copy begins anew."""

    def memoise(self, what: Hashable, work_out: Callable[[], T]) -> T:
        """What is made of this value by that name, worked out the first time only."""
        memo: dict[Hashable, T] = vars(self).setdefault("made", {})
        if what not in memo:
            memo[what] = work_out()
        return memo[what]
