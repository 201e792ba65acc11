"""One browser for the tests of a file: what follows them in this process finds no event loop that goes on running."""

import os
import shutil
from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Browser

from support import shared_sandbox
from view.host import Host, chromium, host_of

NO_BROWSER = "the chart view needs Chromium to be tested: apt-get install chromium, or put one on PATH as `chromium`"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    """Skips where there is none, but never in CI."""
    if shutil.which("chromium") is None:
        if os.environ.get("CI"):
            pytest.fail(NO_BROWSER)
        pytest.skip(NO_BROWSER)
    async with chromium() as result:
        yield result


@pytest.fixture(scope="module")
async def host(browser: Browser) -> AsyncGenerator[Host]:
    async with host_of(browser, shared_sandbox()) as result:
        yield result
