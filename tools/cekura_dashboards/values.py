"""Structs and arrays, cheap to import: msgspec's ``replace``, type-checked, and NumPy on first use.

A ``msgspec.Struct`` takes a fortieth of a data class's time to define. Importing NumPy takes longer than starting the
server: a server that lists its tools needs none, and one that reads charts imports it in a thread while its first
requests are under way.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# NumPy reads this when it is imported. The matrices of the tests are small: more threads mostly wait for each other,
# which took up to a third of the processor time of a call, and calls run in threads of their own.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from dataclasses import replace  # type checkers treat a Struct as a data class, and check the replaced fields

    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]
    """Numbers; NaN is what is missing or not known."""
    Places = npt.NDArray[np.intp]
    """Positions in an array, or whole numbers from 0 on that say which group each value is of."""
    Flags = npt.NDArray[np.bool_]
else:
    from msgspec.structs import replace

    Array = Places = Flags = Any

    class _Numpy:
        """A proxy for the module, imported when an attribute is first used."""

        def __getattr__(self, name: str) -> Any:
            value = getattr(import_module("numpy"), name)
            setattr(self, name, value)
            return value

    np = _Numpy()

__all__ = ["Array", "Flags", "Places", "np", "replace"]
