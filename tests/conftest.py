"""Fixtures and the flag that regenerates golden files."""

import gc
import os
import sys
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

# Tests start some hundred processes: each would compile all that it imports, where Python may not keep what it compiled.
# So would this one, and those of pytest-xdist.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

from support import ERAS, Era, close_sandboxes, release_sandboxes  # noqa: E402 - see above

for _profile, _examples in {"dev": 10, "ci": 25, "thorough": 5000}.items():
    _slow = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    settings.register_profile(_profile, max_examples=_examples, deadline=None, suppress_health_check=_slow)
settings.load_profile("dev")  # --hypothesis-profile loads another one, before any test is imported
GOLDEN = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files anew; read the diff")


@pytest.hookimpl(trylast=True)
def pytest_sessionstart() -> None:
    """Trace once: in a process of pytest-xdist pytest-cov begins twice, and a test marked no_cover stops only the last."""
    last = Coverage.current()
    while tracing := Coverage.current():
        tracing.stop()
    if last:
        last.start()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put tests in a browser first: processes of pytest-xdist get many tests in a row at first, and few at the end.

    So one process starts one browser and shows each page once, and none waits for another at the end.
    """
    items.sort(key=lambda item: "view" not in item.path.parts)


def pytest_collection_finish() -> None:
    """Look for garbage less often: what is imported is none, and tests keep much and leave little in cycles."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _closed_at_the_end() -> Generator[None]:
    yield
    close_sandboxes()


@pytest.fixture(autouse=True)
def _sandboxes_go_back() -> Generator[None]:
    yield
    release_sandboxes()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=ERAS, ids=["2026-07-28", "2025-11-25"])
def era(request: pytest.FixtureRequest) -> Era:
    """Each protocol era in turn."""
    result: Era = request.param
    return result


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with the file of that name in tests/golden."""

    def compare(name: str, text: str) -> None:
        path = GOLDEN / name
        if request.config.getoption("--update-golden"):
            path.write_text(text + "\n", encoding="utf-8")
        assert text + "\n" == path.read_text(encoding="utf-8")

    return compare
