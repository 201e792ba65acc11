"""Settings decide where the key is sent: look-alikes of local addresses are rejected, and the key is never shown."""

import json
import logging
import os
import subprocess
import sys

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import Refused
from cekura_dashboards.api.transport import HttpTransport
from cekura_dashboards.api.wire import Response
from cekura_dashboards.settings import WEEKDAYS, SettingsError, load_settings, usable_key
from support import KEY, Recorder, new_sandbox, no_wait, now, run_cli

NOT_LOCAL = [
    "http://localhost.evil.example", "http://127.0.0.1.evil.example", "http://127.0.0.1@evil.example",
    "http://[::1].evil.example", "http://localhost:80@evil.example", "http://evil.example#http://localhost",
    "http://evil.example", "http://0.0.0.0", "http://10.0.0.1", "https://user:pass@api.cekura.ai", "https://a?b", "https://a#b",
    "https://", "ftp://localhost", "localhost", "http://127.0.0.1\\@evil.example", "https://a b", "https://a\nb", "http://localhost:x",
    "http://localhost:99999", "https://a:-1", "http://[::1", "http://127.0.0.1%2eevil.example", "http://127.0.0.1:80:80",
]  # fmt: skip


@pytest.mark.parametrize("url", NOT_LOCAL)
def test_unsafe_base_urls_are_rejected_in_one_line(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(base_url=url)
    assert str(caught.value).startswith("CEKURA_BASE_URL")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://api.cekura.ai", "https://proxy.example:8443/cekura/", "http://127.0.0.1:8765", "http://localhost", "http://[::1]:1"]
)  # fmt: skip
def test_https_and_local_base_urls_are_accepted(url: str) -> None:
    assert load_settings(base_url=url).base_url == url.rstrip("/")


@given(st.text(max_size=40))
def test_arbitrary_suffixes_of_localhost_never_change_the_host(rest: str) -> None:
    try:
        url = load_settings(base_url=f"http://localhost{rest}").base_url
    except SettingsError:
        return
    assert httpx.URL(url).host == "localhost"  # as the HTTP client parses it


def test_whitespace_around_the_key_is_stripped() -> None:
    result = load_settings(api_key=f" {KEY}\r\n").api_key
    assert result is not None
    assert result.get_secret_value() == KEY


@pytest.mark.parametrize("key", ["käy-1234", "key\n1234", "key 1234", "\u202ekey-1234"])
def test_a_key_with_invalid_characters_is_rejected_without_showing_it(key: str) -> None:
    result = run_cli("doctor", environment={"CEKURA_API_KEY": key})
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("cekura-dashboards: CEKURA_API_KEY contains characters")
    assert "1234" not in result.output
    with pytest.raises(ValueError, match="contains characters"):
        usable_key(key)


@pytest.mark.anyio
async def test_api_errors_that_contain_the_key_are_redacted() -> None:
    recorder = Recorder(HttpTransport("http://localhost", app=new_sandbox()))
    body = {KEY: ["is wrong"], "detail": f"not {KEY}", f"x{KEY}": [f"{KEY}{KEY}"]}
    recorder.fault = lambda _: Response(400, json.dumps(body).encode())
    client = CekuraClient(transport=recorder, key=usable_key(KEY), now=now, sleep=no_wait)
    with pytest.raises(Refused) as caught:
        await client.projects()
    await recorder.aclose()
    assert KEY not in str(caught.value)
    assert "[key]" in str(caught.value)


def test_debug_logs_omit_headers_and_bodies() -> None:
    environment = {
        **os.environ,
        "CEKURA_API_KEY": KEY,
        "CEKURA_LOG_LEVEL": "DEBUG",
        "CEKURA_BASE_URL": "http://127.0.0.1:9",
    }
    result = subprocess.run(
        [sys.executable, "-m", "cekura_dashboards_mcp", "call", "list_dashboards"], env=environment, capture_output=True, check=False
    )  # fmt: skip
    output = (result.stderr + result.stdout).decode()
    assert "could not be reached" in output
    assert KEY not in output
    assert not {"X-CEKURA-API-KEY", "httpcore", "params"} & {
        word for line in output.splitlines() for word in line.split()
    }
    assert logging.getLogger("httpcore").level == logging.NOTSET


def test_the_weekend_is_configurable() -> None:
    assert load_settings(weekend="Friday, sat").clock.weekend == {4, 5}
    for wrong in (",", "frei", ",".join(WEEKDAYS)):
        with pytest.raises(SettingsError, match="CEKURA_WEEKEND"):
            load_settings(weekend=wrong)
