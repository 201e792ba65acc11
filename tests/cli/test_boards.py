"""Dashboards as files, on the command line with a long-running sandbox."""

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from cekura_dashboards.boards import Board
from support import PIE, run_cli, sandbox_address

FROM_STDIN = (["plan", "-"], ["apply", "-"], ["undo", "-"])
LONG = "1" * 5000


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    with sandbox_address(500) as address:
        yield address


@pytest.fixture
def run(address: str, tmp_path: Path) -> Any:
    def run(*arguments: str, stdin: str = "", code: int = 0, **settings: str) -> tuple[str, str]:
        environment = {"CEKURA_BASE_URL": address, "CEKURA_API_KEY": "sandbox", **settings}
        result = run_cli(*arguments, stdin=stdin, folder=tmp_path, environment=environment)
        assert result.exit_code == code, result.output
        return result.stdout, result.stderr

    return run


def test_a_dashboard_can_be_exported_edited_applied_and_undone(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "board.json"
    file.write_text(run("export", "Booking agent")[0], encoding="utf-8")
    assert run("plan", "board.json") == ('No changes to dashboard 12 "Booking agent".\n', "")
    assert run("apply", "board.json")[0].startswith("No changes")
    nothing, _ = run("apply", "board.json", "--json")
    assert run("undo", "-", stdin=nothing)[0] == "Nothing was applied, so there is nothing to undo.\n"
    board = json.loads(file.read_text(encoding="utf-8"))
    board["widgets"] = [*board["widgets"][1:], PIE]
    file.write_text(json.dumps(board), encoding="utf-8")
    text, _ = run("plan", "board.json", "--exit-code", code=3)
    assert 'Changes to dashboard 12 "Booking agent":\n  delete 209 "Booking success"' in text
    assert "plan_id" not in text
    [step] = json.loads(run("plan", "board.json", "--json")[0])["steps"]
    assert (step["tool"], step["arguments"]["delete"]) == ("bulk_edit_dashboard", [209])
    _, message = run("apply", "board.json", code=2)
    assert "add --yes to apply without it. Nothing was changed." in message
    out, shown = run("apply", "board.json", "--yes", "--json")
    assert 'delete 209 "Booking success"' in shown
    (tmp_path / "receipts.json").write_text(out, encoding="utf-8")
    run("plan", "board.json", "--exit-code")
    undone, _ = run("undo", "receipts.json")
    assert undone.startswith("Done. dashboard 12\ncreate ")
    assert json.loads(run("export", "12")[0])["widgets"][-1]["name"] == "Booking success"


def test_a_board_from_stdin_creates_a_dashboard_in_another_project(run: Any) -> None:
    board = run("export", "13")[0].replace('"Harbour Telecom"', '"Northside Clinics"')
    _, message = run("plan", "-", stdin=board, code=1)
    assert "no metric" in message
    new = json.dumps(
        {"name": "From a pipe", "widgets": [PIE], "filters": {"field": "timestamp", "op": "gte", "value": "today-7d"}}
    )
    text, _ = run("apply", "-", "--project", "Harbour Telecom", "--yes", stdin=new)
    assert 'create dashboard 14 "From a pipe"' in text
    assert "undo: delete_dashboard" in text


@pytest.mark.parametrize(
    ("arguments", "stdin", "code", "message"),
    [
        (["export", "nothing"], "", 1, 'no dashboard "nothing"; list_dashboards shows them.'),
        (["plan", "-"], "{", 2, "is not JSON"),
        (["plan", "-"], '{"name": "x", "widgts": 1}', 2, "did you mean `widgets`"),
        (["plan", "nofile.json"], "", 2, "No such file"),
        (["undo", "-"], "{}", 2, "has no receipts to undo"),
        (["undo", "-"], "[", 2, "is not JSON"),
        (["undo", "-"], '{"undo": [{"tool": "x"}]}', 1, "This is not an undo call from a receipt."),
        *(
            (command, '{"a": ' * depth + "1" + "}" * depth, 2, "is nested more than 100 levels deep.")
            for command in FROM_STDIN
            for depth in (101, 5000)
        ),
        *((command, f'{{"name": {LONG}}}', 2, "has a number of more than 4300 digits.") for command in FROM_STDIN),
        *(
            (["plan", "-"], f'{{"name": {n}}}', 2, f"has {n}, which is not a finite number")
            for n in ("NaN", "-Infinity", "1e999")
        ),
        (
            ["plan", "-"],
            f'{{"name": "x", "project": 1, "filters": {{"field": "duration", "op": "gt", "value": {LONG[:400]}}}}}',
            1,
            "too large a number for JSON",
        ),
        *(
            (command, '{"name": "x", "undo": [], "undo": [1]}', 2, 'repeats the key "undo" in one object')
            for command in FROM_STDIN
        ),
        (["export", LONG], "", 1, 'no dashboard "111'),
        (["plan", "-", "--dashboard", LONG], '{"name": "x"}', 1, 'no dashboard "111'),
        (["plan", "-", "--project", LONG], '{"name": "x"}', 1, 'no project "111'),
        (["report", "--dashboard", LONG], "", 1, 'no dashboard "111'),
    ],
)
def test_mistakes_are_reported_in_one_line_on_stderr(
    run: Any, arguments: list[str], stdin: str, code: int, message: str
) -> None:
    out, errors = run(*arguments, stdin=stdin, code=code)
    assert message in errors
    lines = [line for line in errors.splitlines() if line.startswith(("cekura-dashboards: ", "Error: "))]
    assert len(lines) == (2 if arguments[0] == "report" else 1)  # a report has two parts
    assert len(errors) < 500
    assert out == "" or arguments[0] == "report"
    assert "Traceback" not in errors


def encoded(text: str, encoding: str, *, mark: bool) -> bytes:
    written = text.replace("\n", "\r\n").encode(encoding)
    return "\ufeff".encode(encoding) + written if mark else written


@pytest.mark.parametrize("mark", [True, False])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_files_in_every_unicode_encoding_are_read(run: Any, encoding: str, tmp_path: Path, *, mark: bool) -> None:
    """Windows PowerShell 5.1 writes ``>`` as UTF-16 with a mark, and lines that end in CR LF."""
    board = Board(name="Überblick", project=1, widgets=[{**PIE, "name": "Wörter 🎧"}]).to_text()
    (tmp_path / "board.json").write_bytes(encoded(board, encoding, mark=mark))
    text, _ = run("plan", "board.json")
    assert text.startswith('Changes to a new dashboard "Überblick":')
    receipts, _ = run("apply", "board.json", "--yes", "--json")
    (tmp_path / "receipts.json").write_bytes(encoded(receipts, encoding, mark=mark))
    undone, _ = run("undo", "receipts.json")
    assert undone.startswith("Done.")


@pytest.mark.parametrize("command", FROM_STDIN)
def test_invalid_encodings_are_reported_in_one_line(run: Any, command: list[str], tmp_path: Path) -> None:
    (tmp_path / "board.json").write_bytes('{"name": "Überblick"}'.encode("cp1252"))
    out, errors = run(command[0], "board.json", code=2)
    assert (out, errors) == (
        "",
        "cekura-dashboards: board.json"
        + (": The file" if command[0] != "undo" else "")
        + " is not UTF-8, UTF-16 or UTF-32 text.\n",
    )


def test_read_only_mode_rejects_apply(run: Any) -> None:
    board = json.dumps({"name": "Never", "project": 1, "widgets": []})
    _, message = run("apply", "-", "--yes", stdin=board, code=1, CEKURA_READ_ONLY="1")
    assert "CEKURA_READ_ONLY is set" in message
