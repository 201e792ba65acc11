"""The commands for dashboards as files: export, plan, apply, undo and assert."""

import json
import os
import sys
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import anyio
import click

from cekura_dashboards_mcp.cli.terminal import SANDBOX, Stopped, connection, examples, waiting

if TYPE_CHECKING:
    from cekura_dashboards import ToolContext
    from cekura_dashboards.boards import AppliedBoard, AssertedBoard, Board, BoardPlan
    from cekura_dashboards_mcp.connection import Connection

T = TypeVar("T")
FILE = click.argument("file", type=click.File("rb"))
DASHBOARD = click.option(
    "--dashboard", metavar="ID|NAME", help="The dashboard to use; default: the one with the file's name."
)
PROJECT = click.option("--project", metavar="ID|NAME", help="The project to use instead of the file's.")
CHANGED = 3
"""The exit code of a plan with changes, if it is asked for."""
FAILED, NOT_CHECKED = 1, 2
"""The exit codes of ``assert``: something fails; nothing fails, but something could not be checked."""


@click.command(
    epilog=examples("export 11 > board.json", "export 11 --out board.json", 'export "Booking agent" --sandbox')
)
@click.argument("dashboard", metavar="ID|NAME")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write here instead; what the file expects of its charts stays in it.",
)
@SANDBOX
def export(dashboard: str, *, out: Path | None, sandbox: bool) -> None:
    """Write a dashboard as a file, with names instead of ids, to standard output."""
    from cekura_dashboards.boards import export_board

    board = _result_of(partial(export_board, dashboard=dashboard), connection(sandbox=sandbox), "Reading the dashboard")
    if out is None:
        click.echo(board.to_text(), nl=False)
        return
    if out.exists() and out.stat().st_size:
        board = board.model_copy(update={"expect": _read_path(out).expect})
    _write(out, board.to_text())


@click.command(epilog=examples("plan board.json", "plan board.json --project 2", "plan board.json --exit-code"))
@FILE
@DASHBOARD
@PROJECT
@click.option("--exit-code", is_flag=True, help=f"Exit with {CHANGED} if there are changes.")
@click.option("--json", "as_json", is_flag=True, help="Print the tool calls that apply would make.")
@SANDBOX
def plan(
    file: BinaryIO, dashboard: str | None, project: str | None, *, exit_code: bool, as_json: bool, sandbox: bool
) -> None:
    """Show what apply would do with FILE, before → after; changes nothing."""
    from cekura_dashboards.boards import plan_board

    board = _read(file)
    work = partial(plan_board, board=board, dashboard=dashboard, project=project)
    board_plan = _result_of(work, connection(sandbox=sandbox), "Comparing")
    if as_json:
        steps = [{"tool": step.tool, "arguments": step.arguments, "dry_run": step.dry_run} for step in board_plan.steps]
        click.echo(json.dumps({"dashboard": board_plan.dashboard, "steps": steps, "notes": board_plan.notes}, indent=2))
    else:
        _show(board, board_plan)
    if exit_code and board_plan.steps:
        raise SystemExit(CHANGED)


@click.command(epilog=examples("apply board.json", "apply board.json --project 2 --yes --json > receipts.json"))
@FILE
@DASHBOARD
@PROJECT
@click.option("--yes", is_flag=True, help="Do not ask for confirmation, not even for deletes.")
@click.option("--json", "as_json", is_flag=True, help="Print the receipts as JSON, for undo.")
@SANDBOX
def apply(
    file: BinaryIO, dashboard: str | None, project: str | None, *, yes: bool, as_json: bool, sandbox: bool
) -> None:
    """Change or create the dashboard that FILE describes, after showing the plan and asking for confirmation."""
    from cekura_dashboards.boards import AppliedBoard, apply_board, plan_board

    board = _read(file)

    async def apply_again(context: "ToolContext") -> AppliedBoard:
        with waiting("Comparing"):
            board_plan = await plan_board(context, board, dashboard=dashboard, project=project)
        _show(board, board_plan, err=as_json)
        if board_plan.steps and not yes:
            _ask()
        with waiting("Writing"):
            return await apply_board(context, board_plan)

    _report(_result_of(apply_again, connection(sandbox=sandbox)), as_json=as_json)


@click.command(epilog=examples("undo receipts.json"))
@FILE
@click.option("--json", "as_json", is_flag=True, help="Print the receipts as JSON, for undo.")
@SANDBOX
def undo(file: BinaryIO, *, as_json: bool, sandbox: bool) -> None:
    """Revert what apply did, using the receipts in FILE that apply --json printed."""
    from cekura_dashboards.api.models import as_list, as_object
    from cekura_dashboards.boards import undo_board
    from cekura_dashboards.text import NotJson, read_json

    try:
        data = as_object(read_json(file.read()))
    except NotJson as error:
        raise Stopped(f"{_name(file)} {error}.") from None
    listed = as_list((data or {}).get("undo"))
    calls = [as_object(call) for call in listed or []]
    if listed is None or None in calls:
        raise Stopped(f"{_name(file)} has no receipts to undo; apply --json prints them.")
    if not calls:
        click.echo("Nothing was applied, so there is nothing to undo.")
        return
    work = partial(undo_board, calls=[call for call in calls if call is not None])
    _report(_result_of(work, connection(sandbox=sandbox), "Undoing"), as_json=as_json)


@click.command(
    "assert",
    epilog=examples(
        "assert board.json",
        "assert board.json --junit results.xml --since last-look.txt",
        'assert 11 --expect "Success rate" ">= 0.85 over 7d" --expect "Calls per day" "no outage" --sandbox',
    )
    + "\n\n\b\nExit codes: 0 all holds; 1 something fails; 2 wrong arguments, or something could not be checked.",
)
@click.argument("what", metavar="FILE|DASHBOARD")
@DASHBOARD
@PROJECT
@click.option(
    "--expect", "lines", nargs=2, multiple=True, metavar="CHART EXPECTATION",
    help="Check this too; it replaces what the file expects of that chart. May be repeated.",
)  # fmt: skip
@click.option("--junit", type=click.Path(dir_okay=False, writable=True, path_type=Path), help="Write JUnit XML here.")
@click.option(
    "--since",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Keep state between runs here, so that false failures do not add up over daily runs.",
)
@SANDBOX
def assert_(
    what: str, dashboard: str | None, project: str | None, lines: tuple[tuple[str, str], ...],
    *, junit: Path | None, since: Path | None, sandbox: bool,
) -> None:  # fmt: skip
    """Check charts against what FILE expects of them in its section "expect", or --expect of a DASHBOARD.

    An expectation is ">= 0.85 over 7d", with any of >= > <= <, or "no outage" or "no change", over 7d by default. A
    value fails only if its 95 % interval excludes what is expected.
    """
    from cekura_dashboards.boards import assert_board, board_dashboard, check_expectations

    board = _read_path(Path(what)) if what == "-" or what.endswith(".json") or os.path.isfile(what) else None  # noqa: PTH113 - of a name too long for a file, Path raises
    texts = {**((board.expect if board else None) or {}), **dict(lines)}
    names = [str(widget.get("name") or "") for widget in board.widgets] if board else None
    token = _read_text(since) if since is not None and since.exists() else None

    async def work(context: "ToolContext") -> "AssertedBoard":
        check_expectations(context, texts, names)
        chosen: str | int = what
        if board is not None:
            chosen = await board_dashboard(context, board, dashboard=dashboard, project=project)
        return await assert_board(context, chosen, texts, looks=since is not None, token=token)

    asserted = _result_of(work, connection(sandbox=sandbox), "Reading the charts", code=NOT_CHECKED)
    for check in asserted.checks:
        click.echo(str(check))
    if since is not None and asserted.token is not None:
        _write(since, asserted.token + "\n")
    if junit is not None:
        _write(junit, _junit_xml(asserted))
    if asserted.failed:
        raise SystemExit(FAILED)
    if asserted.untested:
        raise SystemExit(NOT_CHECKED)


COMMANDS = (export, plan, apply, undo, assert_)


def _name(file: BinaryIO) -> str:
    """The name for errors; standard input may have none."""
    return str(getattr(file, "name", "<stdin>"))


def _read_path(path: Path) -> "Board":
    try:
        if str(path) == "-":
            return _read(sys.stdin.buffer)
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise Stopped(f"{path} cannot be read: {error.strerror or error}") from None


def _read_text(path: Path) -> str:
    """The text of a file; undecodable bytes stay visible."""
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise Stopped(f"{path} cannot be read: {error.strerror or error}") from None


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Stopped(f"{path} cannot be written: {error.strerror or error}") from None


def _read(file: BinaryIO) -> "Board":
    from cekura_dashboards.boards import BoardRefused, read_board

    try:
        return read_board(file.read())
    except BoardRefused as error:
        raise Stopped(f"{_name(file)}: {error}") from None


def _result_of(work: Callable[["ToolContext"], Awaitable[T]], link: "Connection", what: str = "", code: int = 1) -> T:
    """The result of the work; an error becomes one line and this exit code.

    ``what``: the text shown to the waiting user; the work may show its own.
    """
    from cekura_dashboards import DashboardsError

    async def run() -> T:
        try:
            return await work(await link.tool_context(None))
        finally:
            await link.aclose()

    try:
        with waiting(what) if what else nullcontext():
            return anyio.run(run)
    except DashboardsError as error:
        click.echo(f"cekura-dashboards: {error}", err=True)
        raise SystemExit(code) from None


def _ask() -> None:
    """Ask the person at the terminal.

    Raises:
        Stopped: if there is no terminal.
    """
    if not sys.stdin.isatty():
        raise Stopped("Confirmation needs a terminal; add --yes to apply without it. Nothing was changed.")
    click.confirm("Apply these changes?", abort=True, err=True)


def _show(board: "Board", board_plan: "BoardPlan", *, err: bool = False) -> None:
    from cekura_dashboards.text import named

    target = "a new dashboard" if board_plan.dashboard is None else f"dashboard {board_plan.dashboard}"
    head = "Changes to" if board_plan.steps else "No changes to"
    click.echo(f"{head} {target} {named(board.name)}" + (":" if board_plan.steps else "."), err=err)
    lines = [
        *(f"  {line}" for step in board_plan.steps for line in step.lines),
        *(f"note: {n}" for n in board_plan.notes),
    ]
    for line in lines:
        click.echo(line, err=err)


def _report(done: "AppliedBoard", *, as_json: bool) -> None:
    """Print the receipts; as JSON with the undo calls, the last first."""
    if as_json:
        receipts = [receipt.structured for receipt in done.receipts]
        data = {"receipts": receipts, "failed": done.failed, "undo": done.calls_to_undo}
        click.echo(json.dumps({name: value for name, value in data.items() if value is not None}, indent=2))
    else:
        for receipt in done.receipts:
            click.echo(receipt.text)
    if done.failed is not None:
        click.echo(f"cekura-dashboards: {done.failed}", err=True)
        raise SystemExit(1)


def _junit_xml(asserted: "AssertedBoard") -> str:
    """The checks of a dashboard as JUnit XML, which CI systems show.

    One test case per expectation; one that could not be checked is an error.

    Source: the schema that Jenkins documents for its JUnit plug-in: ``testsuites``, ``testsuite``, ``testcase``, and in
    it ``failure`` or ``error``.
    """
    from xml.etree import ElementTree as ET

    from cekura_dashboards.text import UntrustedText

    name = str.__str__(UntrustedText(asserted.name))
    counts = {
        "tests": str(len(asserted.checks)),
        "failures": str(len(asserted.failed)),
        "errors": str(len(asserted.untested)),
    }
    suites = ET.Element("testsuites", counts)
    suite = ET.SubElement(suites, "testsuite", {"name": name, **counts})
    for check in asserted.checks:
        chart = str.__str__(UntrustedText(check.expectation.widget))
        case = ET.SubElement(
            suite, "testcase", {"classname": name, "name": f"{chart} {check.expectation.text}", "time": "0"}
        )
        if check.status == "ok":
            ET.SubElement(case, "system-out").text = check.text
        else:
            kind = "failure" if check.status == "fail" else "error"
            ET.SubElement(case, kind, {"message": check.text}).text = str(check)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=False) + "\n"
