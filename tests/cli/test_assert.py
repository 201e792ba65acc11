"""The ``assert`` command: charts checked against the expectations of a file."""

import json
import re
from collections.abc import Generator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import Result

from cekura_dashboards.boards import assert_board, read_board
from cekura_dashboards.reports.expectations import NOT_YET
from cekura_dashboards.stats.significance import wilson_interval
from support import force, new_sandbox, open_tools, run_cli, sandbox_address

NUMBERS = re.compile(r": ([\d.]+), 95 % interval ([\d.]+) to ([\d.]+), n (\d+)")
RATE = "Success rate"


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    with sandbox_address(12000) as address:
        yield address


@pytest.fixture
def run(address: str, tmp_path: Path) -> Any:
    def run(*arguments: str, code: int = 0, **settings: str) -> Result:
        environment = {"CEKURA_BASE_URL": address, "CEKURA_API_KEY": "sandbox", **settings}
        result = run_cli(*arguments, folder=tmp_path, environment=environment)
        assert result.exit_code == code, result.output
        return result

    return run


def board_expecting(run: Any, tmp_path: Path, **lines: str) -> Path:
    """The file of the first dashboard, with these expectations."""
    board = json.loads(run("export", "11").stdout)
    file = tmp_path / "board.json"
    file.write_text(json.dumps({**board, "expect": lines}), encoding="utf-8")
    return file


def test_failed_expectations_are_reported_with_n_interval_and_junit(run: Any, tmp_path: Path) -> None:
    board_expecting(
        run, tmp_path, **{RATE: ">= 0.9 over 7d", "Calls per day": "no outage", "Calls per hour": "no outage over 14d"}
    )
    out = run("assert", "board.json", "--junit", "results.xml", code=1).stdout.splitlines()
    assert [line[:4] for line in out] == ["FAIL", "ok  ", "FAIL"]
    numbers = NUMBERS.search(out[0])
    assert numbers is not None
    value, low, high, n = map(float, numbers.groups())
    assert [low, high] == [pytest.approx(bound, abs=1e-4) for bound in wilson_interval(value, int(n))]
    assert n > 1500
    assert re.search(r"no calls from 2\S+:00Z to 2\S+:00Z, expected \d+", out[2])
    suite = ET.parse(tmp_path / "results.xml").getroot()[0]  # noqa: S314 - trusted XML
    assert [suite.get(name) for name in ("name", "tests", "failures", "errors")] == [
        "Operations overview",
        "3",
        "2",
        "0",
    ]
    assert [[part.tag for part in case] for case in suite] == [["failure"], ["system-out"], ["failure"]]
    assert suite[0].get("name") == "Success rate >= 0.9 over 7d"


def test_a_value_within_its_interval_passes_an_expectation(run: Any) -> None:
    value, low, _, _ = map(float, NUMBERS.search(run("assert", "11", "--expect", RATE, "> 0").stdout).groups())  # type: ignore[union-attr] # fails if it is not there
    between = run("assert", "11", "--expect", RATE, f">= {value + 0.001:.4f}").stdout
    assert between.startswith("ok  ")
    assert between.endswith(": not shown to be below\n")
    above = run("assert", "11", "--expect", RATE, f"<= {value - 0.001:.4f}").stdout
    assert above.endswith(": not shown to be above\n")
    assert run("assert", "11", "--expect", RATE, f"<= {100 * low - 1:.2f} %", code=1).stdout.startswith("FAIL")


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (("11", "Calls per day", "> 1"), r"ok   .*: [\d.]+ per day, 95 % interval"),
        (("11", "Calls per hour", "> 1"), r"ok   .*: [\d.]+ per hour, 95 % interval"),
        (("11", "Call length", "< 10"), r"FAIL .*: 1\d\d\.?\d* s, 95 % interval"),
        (("12", "Response latency p95", "< 100"), r"FAIL .*: [\d.]+ ms, 95 % interval"),
        (("12", "Appointments booked", ">= 1 %"), r"ok   .*: 0\.\d+, 95 % interval"),
        (("12", "Booking success", "no change over 14d"), r"FAIL .*step at"),
    ],
)
def test_every_chart_of_one_measure_can_be_asserted(run: Any, line: tuple[str, str, str], shown: str) -> None:
    dashboard, *expected = line
    out = run("assert", dashboard, "--expect", *expected, code=shown.startswith("FAIL")).stdout
    assert re.match(shown, out), out


LATENCY = "12", "Response latency p95"


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ((*LATENCY, "<= 1 s"), r"FAIL .* <= 1 s over 7d: [\d.]+ ms,"),
        ((*LATENCY, "<= 1000ms"), r"FAIL .* <= 1000 ms over 7d: [\d.]+ ms,"),
        ((*LATENCY, "<= 1"), r"FAIL .* <= 1 over 7d: [\d.]+ ms,"),
        ((*LATENCY, "<= 60 s over 24h"), r"ok   .* <= 60 s over 24h: [\d.]+ ms,"),
        ((*LATENCY, "<= 1 Minute"), r"ok   .* <= 1 min over 7d: [\d.]+ ms,"),
        (("11", "Call length", "> 1 min"), r"ok   .* > 1 min over 7d: [\d.]+ s,"),
        (("11", "Call length", "> 1000000 ms"), r"FAIL .*: [\d.]+ s,"),
        (("13", "Weekly talk time", "> 0.001 h over 21d"), r"ok   .*: [\d.]+ s per week,"),
        (("11", "Calls per day", "> 1 call"), r"ok   .* > 1 calls over 7d: [\d.]+ per day,"),
        (("11", RATE, ">= 1%"), r"ok   .* >= 1 % over 7d: 0\.\d+,"),
        (("11", RATE, ">= 99 percent"), r"FAIL .* >= 99 % over 7d: 0\.\d+,"),
        (("11", "Calls per day", "< 2 s"), r"\?    .*: not tested: .*: its unit is calls; write the number without s"),
        (("11", RATE, "> 2 s"), r"\?    .*: not tested: .*: its unit is ratio; write the number without s"),
        (("12", "Customer satisfaction", "> 3 s"), r"\?    .*: its unit is not known; write the number without s"),
    ],
)
def test_expectations_accept_units_compatible_with_the_chart(run: Any, line: tuple[str, str, str], shown: str) -> None:
    dashboard, *expected = line
    out = run("assert", dashboard, "--expect", *expected, code={"F": 1, "o": 0}.get(shown[0], 2)).stdout
    assert re.match(shown, out), out


def test_an_untestable_expectation_exits_with_2(run: Any) -> None:
    out = run("assert", "11", "--expect", "Topics", "> 1", code=2).stdout
    assert out.startswith('?    "Topics" > 1 over 7d: not tested: it shows several figures;')


@pytest.mark.parametrize(("line", "suggestion"), [("<= 20", "<= 20 %"), ("> -1", ""), (">= 850 %", "")])
def test_impossible_values_of_rates_are_not_tested(run: Any, line: str, suggestion: str) -> None:
    out = run("assert", "11", "--expect", RATE, line, code=2).stdout
    assert ": not tested: a rate of this chart is from 0 to 1, or from 0 to 100 %" in out
    assert out.rstrip().endswith(f'; did you mean "{suggestion}"?' if suggestion else "0 to 100 %")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ((RATE, "at least 85% in the last 7 days"), 'did you mean ">= 85 % over 7d"?'),
        ((RATE, "=> 0.85 in 24h"), 'did you mean ">= 0.85 over 24h"?'),
        (("Calls per day", "no outages"), 'did you mean "no outage over 7d"?'),
        ((RATE, "never below 80%"), 'did you mean ">= 80 % over 7d"?'),
        (("Calls per day", "not more than 1.5k calls"), 'did you mean "<= 1500 calls over 7d"?'),
        (("Call length", "under 3 minutes on average"), 'did you mean "< 3 min over 7d"?'),
        (("Call length", "< 3 m"), '"m" is not a unit; use `%`, `ms`, `s`, `min`, `h` or `calls`, or none.'),
        (("Call length", "< 3 parsecs over 24h"), '"parsecs" is not a unit; use `%`, `ms`'),
        (("Calls per day", "max 1 000 over 24h"), 'did you mean "<= 1000 over 24h"?'),
        (("Calls per day", "> 1" + 400 * "0"), 'write it as ">= 0.85 over 7d",'),
        ((RATE, "fine"), 'write it as ">= 0.85 over 7d",'),
        ((RATE, ">= 0.85 over a fortnight or so"), "window"),
        (("Sucess rate", ">= 0.85"), "did you mean `Success rate`?"),
    ],
)
def test_invalid_expectations_are_rejected_with_a_suggestion(run: Any, line: tuple[str, str], message: str) -> None:
    result = run("assert", "11", "--expect", *line, code=2)
    assert message in result.stderr
    assert "Nothing was read." in result.stderr
    assert result.stdout == ""


def test_missing_files_dashboards_and_expectations_exit_with_2(run: Any, tmp_path: Path) -> None:
    assert "There is nothing to check: give expectations" in run("assert", "11", code=2).stderr
    assert "missing.json cannot be read" in run("assert", "missing.json", code=2).stderr
    file = board_expecting(run, tmp_path, **{RATE: "> 0"})
    file.write_text(file.read_text(encoding="utf-8").replace("Operations overview", "Elsewhere"), encoding="utf-8")
    assert 'has no dashboard "Elsewhere"; apply the file first' in run("assert", "board.json", code=2).stderr
    assert run("assert", "board.json", "--dashboard", "11").stdout.startswith("ok  ")
    assert "no dashboard" in run("assert", 5000 * "x", "--expect", RATE, "> 0", code=2).stderr
    missing = run(
        "assert", "11", "--expect", RATE, "> 0", code=2, CEKURA_BASE_URL="http://127.0.0.1:9", CEKURA_RETRIES="0"
    )
    assert missing.stderr.startswith("cekura-dashboards: ")


def test_other_commands_keep_the_expectations_of_a_file(run: Any, tmp_path: Path) -> None:
    file = board_expecting(run, tmp_path, **{RATE: ">= 0.9"})
    assert run("plan", "board.json").stdout.startswith("No changes")
    assert run("apply", "board.json", "--yes").stdout.startswith("No changes")
    run("export", "11", "--out", "board.json")
    assert read_board(file.read_bytes()).expect == {RATE: ">= 0.9"}
    run("export", "11", "--out", "new.json")
    assert read_board((tmp_path / "new.json").read_bytes()).expect is None


def test_since_file_marks_known_failures_as_reported_before(run: Any, tmp_path: Path) -> None:
    arguments = ("assert", "11", "--expect", RATE, ">= 0.99", "--since", "look.txt")
    assert "reported before" not in run(*arguments, code=1).stdout
    first = (tmp_path / "look.txt").read_text(encoding="utf-8")
    assert len(first) <= 500
    assert run(*arguments, code=1).stdout.endswith(", reported before, ongoing\n")
    unwritten = run(*arguments, "--junit", "missing/results.xml", code=2)
    assert "results.xml cannot be written" in unwritten.stderr
    assert (tmp_path / "look.txt").read_text(encoding="utf-8").split(".")[2] == "3"  # this look is recorded too
    refused = run("assert", "12", "--expect", "Booking success", "> 0", "--since", "look.txt", code=2)
    assert "look at the same again, or delete the file to start a new series" in refused.stderr
    (tmp_path / "look.txt").write_bytes(b"\xff\xfelook1")
    assert "is not a complete token of a look" in run(*arguments, code=2).stderr


@pytest.mark.anyio
async def test_rapid_looks_report_nothing_new_and_remember_unreadable_charts() -> None:
    app, lines, more = new_sandbox(), {RATE: ">= 0.99"}, {"Call length": "< 10"}
    async with open_tools(app) as (context, _):
        first = await assert_board(context, 11, lines, looks=True)
        [check] = first.checks
        assert check.status == "fail"
        both = await assert_board(context, 11, lines | more, looks=True, token=first.token)
        assert [(check.status, check.told_before) for check in both.checks] == [("fail", True), ("ok", False)]
        assert both.checks[1].text.endswith(NOT_YET)
        force(app, 203, chart_type="unheard-of")
        unread = await assert_board(context, 11, lines | more, looks=True, token=both.token)
        assert [check.status for check in unread.checks] == ["not tested", "ok"]
        force(app, 203, chart_type="bar")
        again = await assert_board(context, 11, lines, looks=True, token=unread.token)
    assert [(check.status, check.told_before) for check in again.checks] == [("fail", True)]


@pytest.mark.anyio
async def test_a_chart_without_a_name_is_asserted_by_an_empty_name() -> None:
    app = new_sandbox()
    force(app, 203, name=None)
    async with open_tools(app) as (context, _):
        asserted = await assert_board(context, 11, {"": "> 0"})
    assert [check.status for check in asserted.checks] == ["ok"]


def test_failures_over_many_looks_need_stronger_evidence(run: Any) -> None:
    numbers = NUMBERS.search(run("assert", "11", "--expect", RATE, "> 0").stdout)
    assert numbers is not None
    expected = f">= {float(numbers[3]) + 0.0003:.5f}"
    assert run("assert", "11", "--expect", RATE, expected, code=1).stdout.startswith("FAIL")
    out = run("assert", "11", "--expect", RATE, expected, "--since", "look.txt").stdout
    assert out.endswith(": a failure in this look, not yet over the series\n")
