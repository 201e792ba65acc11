"""The doctor: what it finds in order, what not, and how it tells one possible API from another."""

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any, get_args, get_type_hints

import pytest
from pydantic import SecretStr

from cekura_dashboards_mcp.connection import Connection
from cekura_dashboards_mcp.doctor import examine, report, skew
from cekura_dashboards_mcp.probe import UNSETTLED, probe
from cekura_sandbox import ApiVariant
from support import KEY, NOW, now, open_tools, settings, shared_sandbox

pytestmark = pytest.mark.anyio
TYPES = get_type_hints(ApiVariant)
SINGLE = [ApiVariant(**{field.name: value}) for field in fields(ApiVariant) for value in get_args(TYPES[field.name])]
OTHER = ApiVariant(
    override="merge", preview="merge", grouped="nested", booleans="1", rates="percent", stat="array", buckets="bare",
    empty_buckets="null", predefined="list", preview_answer="short", clock_ahead_s=120,
)  # fmt: skip
MIXED = [OTHER, replace(OTHER, override="replace", grouped="field"), replace(OTHER, preview="alone", rates="ratio")]


@pytest.mark.parametrize("readings", [*SINGLE, *MIXED], ids=str)
async def test_the_probe_recognises_every_reading_of_the_sandbox_and_only_reads(readings: ApiVariant) -> None:
    async with open_tools(shared_sandbox(readings)) as (context, recorder):
        found = {finding.question: finding.answer for finding in await probe(context)}
        assert recorder.writes() == []
    expected = {
        field.name: getattr(readings, field.name) for field in fields(readings) if field.name != "clock_ahead_s"
    }
    assert {name: found[name] for name in expected} == expected
    assert found["page_size"] == "10 by default, more on request"


async def test_the_report_holds_no_name_id_or_number_of_calls() -> None:
    async with open_tools(shared_sandbox()) as (context, _):
        text = "\n".join(report(await probe(context))[1:])
    for private in ("Operations", "Booking", "Northside", "Reception", KEY):
        assert private not in text
    assert {word for word in text.split() if any(c.isdigit() for c in word)} <= {"10"}


async def test_what_cannot_be_settled_says_why() -> None:
    app = shared_sandbox(ApiVariant(), count=1)
    async with open_tools(app) as (context, _):
        found = {finding.question: finding for finding in await probe(context)}
    assert found["override"].answer == UNSETTLED
    assert "no dashboard has a date range with calls before it" in found["override"].why


async def lines(connection: Connection, *, with_probe: bool = False) -> tuple[bool, list[str]]:
    said = list[str]()
    passed = await examine(connection, with_probe, said.append)
    return passed, said


def sandboxed(**given: Any) -> Connection:
    return Connection(settings(**given), app_factory=shared_sandbox, now=now)


async def test_everything_in_order_is_told_line_by_line() -> None:
    passed, said = await lines(sandboxed(), with_probe=True)
    assert passed
    assert said[:6] == [
        "ok   settings: http://localhost, time zone UTC, 30 s a call",
        "ok   key: given",
        "ok   API: answers",
        "ok   key: accepted",
        "ok   projects: 2 visible",
        "ok   clock: the API is 0 s behind",
    ]
    assert "  override: replace (an override stands in place of what is saved)" in said


async def test_a_key_that_is_not_accepted_is_told_and_nothing_more_is_asked() -> None:
    made = settings().model_copy(update={"api_key": SecretStr("wrong")})
    passed, said = await lines(Connection(made, app_factory=shared_sandbox, now=now), with_probe=True)
    assert not passed
    assert said[-1].startswith("FAIL key: The API did not accept the key (401)")


async def test_no_key_and_no_network_are_told() -> None:
    passed, said = await lines(Connection(settings().model_copy(update={"api_key": None})))
    assert (passed, said[-1]) == (False, "FAIL key: none; set CEKURA_API_KEY, or try --sandbox")
    nowhere = settings(timeout_s=2).model_copy(update={"base_url": "http://127.0.0.1:9"})
    passed, said = await lines(Connection(nowhere, now=now))
    assert not passed
    assert said[-1].startswith("FAIL API: The API could not be reached (ConnectError)")


async def test_a_project_that_the_key_cannot_see_is_told() -> None:
    passed, said = await lines(sandboxed(project_id=99))
    assert not passed
    assert any("CEKURA_PROJECT_ID is 99" in line for line in said)


@pytest.mark.parametrize(
    ("date", "passed", "told"),
    [
        ("Wed, 18 Nov 2026 15:30:20 GMT", True, "the API is 20 s ahead"),
        ("Wed, 18 Nov 2026 15:25:00 GMT", None, "the API is 300 s behind; set this machine's clock"),
        (None, None, "the API does not say its time"),
        ("soon", None, "the API does not say its time"),
    ],
)
def test_the_clocks_are_compared(date: str | None, passed: bool | None, told: str) -> None:  # noqa: FBT001 - a parameter
    check = skew(date, NOW)
    assert (check.passed, check.told) == (passed, told)


async def test_a_clock_that_is_ahead_is_seen() -> None:
    app = shared_sandbox(ApiVariant(clock_ahead_s=timedelta(minutes=2).total_seconds()))
    _, said = await lines(Connection(settings(), app_factory=lambda: app, now=now))
    assert said[-1].startswith("?    clock: the API is 120 s ahead")
