"""Which requests are retried, when, and which never are."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cekura_dashboards.api import errors
from cekura_dashboards.api.client import CekuraClient, retry_after_s
from cekura_dashboards.api.wire import Response
from support import KEY, now

pytestmark = pytest.mark.anyio
WIDGET = b'{"id": 7, "chart_type": "pie"}'


class Scripted:
    """Answers or raises the given steps in order; records the waits between them."""

    def __init__(self, *steps: Response | Exception) -> None:
        self.steps = list(steps)
        self.tries = 0
        self.waits = list[float]()

    async def send(self, *_: object, **__: object) -> Response:
        self.tries += 1
        step = self.steps.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def aclose(self) -> None:
        """Nothing to close."""

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def client(self, timeout_s: float = 30) -> CekuraClient:
        return CekuraClient(transport=self, key=SecretStr(KEY), timeout_s=timeout_s, now=now, sleep=self.sleep)


def rate_limited(retry_after: str | None = None) -> Response:
    return Response(429, b"", retry_after=retry_after)


async def read(client: CekuraClient) -> object:
    return await client.projects()


async def write(client: CekuraClient) -> object:
    return await client.update_widget(7, {"name": "x"})


@pytest.mark.parametrize(
    "fault",
    [
        Response(502, b""),
        Response(503, b""),
        Response(504, b""),
        rate_limited(),
        errors.NotSent("x"),
        errors.ConnectionBroken("x"),
    ],
    ids=["502", "503", "504", "429", "not sent", "broken"],
)
async def test_reads_are_retried_after_transient_faults(fault: Response | Exception) -> None:
    script = Scripted(fault, Response(200, b"[]"))
    await read(script.client())
    assert script.tries == 2
    assert all(0.1 <= wait <= 0.25 for wait in script.waits)


async def test_retries_back_off_and_stop_after_four_attempts() -> None:
    script = Scripted(*[Response(503, b"")] * 9)
    with pytest.raises(errors.ApiFault):
        await read(script.client())
    assert script.tries == 4
    assert script.waits == sorted(script.waits)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500, 501])
async def test_other_statuses_are_not_retried(status: int) -> None:
    script = Scripted(Response(status, b"{}"))
    with pytest.raises(errors.ApiError):
        await read(script.client())
    assert script.tries == 1


@pytest.mark.parametrize("fault", [rate_limited(), errors.NotSent("x")], ids=["429", "not sent"])
async def test_writes_that_never_arrived_are_retried(fault: Response | Exception) -> None:
    script = Scripted(fault, Response(200, WIDGET))
    await write(script.client())
    assert script.tries == 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Response(502, b""), errors.ApiFault),
        (Response(503, b""), errors.ApiFault),
        (errors.ConnectionBroken("x"), errors.ConnectionBroken),
        (errors.DeadlinePassed(1), errors.DeadlinePassed),
    ],
    ids=["502", "503", "broken", "too slow"],
)
async def test_writes_that_may_have_arrived_are_never_retried(
    fault: Response | Exception, error: type[Exception]
) -> None:
    script = Scripted(fault, Response(200, WIDGET))
    with pytest.raises(error):
        await write(script.client())
    assert script.tries == 1


@pytest.mark.parametrize(
    ("header", "wait"), [("3", 3.0), ("Wed, 18 Nov 2026 15:30:05 GMT", 5.0), ("Wed, 18 Nov 2026 15:00:00 GMT", 0.0)]
)
async def test_retry_after_is_obeyed_as_seconds_and_as_a_date(header: str, wait: float) -> None:
    script = Scripted(rate_limited(header), Response(200, b"[]"))
    await read(script.client())
    assert script.waits == [wait]


@pytest.mark.parametrize(("header", "timeout_s"), [("3600", 600), ("15", 10), ("99999999999999999999", 600)])
async def test_a_retry_after_beyond_the_deadline_is_reported_without_waiting(header: str, timeout_s: float) -> None:
    script = Scripted(rate_limited(header))
    with pytest.raises(errors.RateLimited, match=r"Try again in .* seconds"):
        await read(script.client(timeout_s))
    assert script.waits == []


async def test_an_invalid_retry_after_header_is_ignored() -> None:
    script = Scripted(rate_limited("soon"), Response(200, b"[]"))
    await read(script.client())
    assert script.tries == 2


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("0", 0), ("007", 7), ("2.5", 2.5), ("2.", 2), (" 4 ", 4), ("301", 300), ("99999999999", 300), ("9" * 5000, 300),
        ("86400.5", 300), ("Wed, 18 Nov 2099 15:30:05 GMT", 300), ("Fri, 31 Dec 9999 23:59:59 -2359", 300),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0), ("Wed, 18 Nov 2026 15:30:05", 5), ("Wed, 18 Nov 1970 15:30:05 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_parsed_in_every_form_and_capped_at_five_minutes(header: str, wait: float) -> None:
    assert retry_after_s(header, now()) == wait


@pytest.mark.anyio
@pytest.mark.parametrize("header", ["99999999999", "Wed, 18 Nov 2099 15:30:05 GMT"])
async def test_an_absurd_retry_after_blocks_the_key_for_at_most_five_minutes(header: str) -> None:
    script = Scripted(rate_limited(header))
    pace = script.client(600).pace
    client = CekuraClient(transport=script, key=SecretStr(KEY), timeout_s=600, now=now, sleep=script.sleep, pace=pace)
    with pytest.raises(errors.RateLimited, match="in 300 seconds"):
        await read(client)
    with pytest.raises(errors.RateLimited) as caught:
        await read(client)
    assert script.tries == 1
    assert caught.value.wait_s is not None
    assert caught.value.wait_s <= 300


@given(st.text() | st.floats().map(str) | st.integers().map(str))
def test_arbitrary_retry_after_headers_parse_to_a_wait_or_none(header: str) -> None:
    result = retry_after_s(header, now())
    assert result is None or 0 <= result <= 300


@pytest.mark.parametrize(
    "header", ["-1", "-0.5", "1e9", "", "٣", "nan", "NaN", "inf", "-inf", "1,5", "+3", "0x10", "5 s", "Wed, 99 Nov 2026 15:30:05 GMT"]
)  # fmt: skip
def test_invalid_retry_after_headers_parse_to_none(header: str) -> None:
    assert retry_after_s(header, datetime(2026, 11, 18, tzinfo=UTC)) is None
