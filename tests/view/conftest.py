"""One browser per test file. It is closed at the end of the file, so that later tests find no running event loop."""

import os
import shutil
from collections.abc import AsyncGenerator

import pytest
from playwright.async_api import Browser

from support import shared_sandbox
from view.host import Host, chromium, host_of

NO_BROWSER = "tests of the chart view need Chromium: apt-get install chromium, or put one on PATH as `chromium`"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def browser() -> AsyncGenerator[Browser]:
    """The browser. Without Chromium the test is skipped, in CI it fails."""
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
