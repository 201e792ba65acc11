"""Many tests in one answer: which of them to believe."""

from collections.abc import Sequence


def benjamini_hochberg(p_values: Sequence[float], level: float, tests: int) -> float:
    """The largest of these chances that is believed when false ones may be ``level`` of all that are; 0 for none.

    ``p_values``: how likely each finding is if there is nothing; ``tests``: how many were made, those that found
    nothing among them.

    Source: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57.

    >>> benjamini_hochberg([0.001, 0.02, 0.5], 0.05, 10), benjamini_hochberg([0.02], 0.05, 10)
    (0.001, 0.0)
    """
    ordered = sorted(p_values)
    accepted = [p_value for place, p_value in enumerate(ordered, start=1) if p_value <= level * place / max(tests, 1)]
    return max(accepted, default=0.0)
