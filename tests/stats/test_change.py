"""Changes of any size are ranked."""

import pytest

from cekura_dashboards.stats.change import changes_from_findings
from cekura_dashboards.stats.findings import Step


@pytest.mark.parametrize(("before", "after"), [(1e308, 5e-324), (5e-324, 1e308), (-1e308, -1e-308), (0, 1e308)])
def test_a_step_between_the_largest_and_the_smallest_numbers_has_the_largest_size(before: float, after: float) -> None:
    step = Step(kind="step", at="2026-11-12", before=before, after=after, change=after, verdict="clear")
    [change] = changes_from_findings([step], 0.0)
    assert change.size == 3.0
