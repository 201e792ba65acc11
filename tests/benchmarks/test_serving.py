"""The benchmark of many clients: its arithmetic, and memory use under a short load."""

import re

import anyio
import pytest
from benchmarks.serving import exponent, soak


@pytest.mark.parametrize(("power", "factor"), [(1.0, 0.2), (0.5, 3.0), (2.0, 1e-6)])
def test_the_exponent_of_a_power_law_is_recovered(power: float, factor: float) -> None:
    assert exponent({count: factor * count**power for count in (1, 3, 10, 100)}) == pytest.approx(power)


def test_memory_stays_constant_under_load() -> None:
    [result] = anyio.run(soak, 1, 8)
    early, late = map(int, re.findall(r"(\d+) MiB", result))
    assert 30 < early < 200
    assert late <= early + 5
