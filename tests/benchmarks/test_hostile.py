"""A server under attack answers correctly; ``python -m benchmarks.hostile`` measures how quickly."""

import pytest
from benchmarks.hostile import attacked, directed


@pytest.mark.no_cover
@pytest.mark.anyio
async def test_answers_stay_correct_under_hostile_requests() -> None:
    result = await attacked(30, directed(), seed=7)
    assert result.answers > 0
    assert result.wrong == []
    assert result.health_ms != []
