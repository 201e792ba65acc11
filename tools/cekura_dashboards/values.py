"""``replace`` for ``msgspec.Struct``, which takes a fortieth of a data class's time to define; type-checked."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import replace  # type checkers take a Struct for a data class, and check what is put in its place
else:
    from msgspec.structs import replace

__all__ = ["replace"]
