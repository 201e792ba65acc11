"""Fixtures and the flag that regenerates golden files."""

import gc
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

# Tests start about a hundred processes. Without a bytecode cache each would compile everything it imports, and so would
# this process and those of pytest-xdist.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

from support import ERAS, Era, close_sandboxes, release_sandboxes  # noqa: E402 - see above

for _profile, _examples in {"dev": 10, "ci": 25, "thorough": 5000}.items():
    _slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    settings.register_profile(_profile, max_examples=_examples, deadline=None, suppress_health_check=_slow)
settings.load_profile("dev")  # --hypothesis-profile replaces it before any test is imported
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="rewrite the golden files; read the diff")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    """Measure coverage once: pytest-cov starts twice in a process of pytest-xdist, and no_cover stops only the last."""
    last = Coverage.current()
    while tracing := Coverage.current():
        tracing.stop()
    if last:
        last.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run browser tests first: pytest-xdist hands out long batches of tests at first, and short ones at the end.

    So a single process starts a browser and loads each page once, and no other process waits for it at the end.
    """
    items.sort(key=lambda item: "view" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Run the garbage collector less often: imported modules stay, and tests leave few reference cycles."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _close_sandboxes() -> Generator[None]:
    yield
    close_sandboxes()


@pytest.fixture(autouse=True)
def _release_sandboxes() -> Generator[None]:
    yield
    release_sandboxes()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ERAS, ids=["2026-07-28", "2025-11-25"])
def era(request: pytest.FixtureRequest) -> Era:
    """Every protocol era."""
    result: Era = request.param
    return result


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file in tests/golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
