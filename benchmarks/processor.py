"""Processor time of reading calls and of a large line, beside those of another commit.

``python -m benchmarks.processor COMMIT [ROUNDS]``: a process of each commit does the same in turn, against one sandbox
in a third process; the ratio is the median of the pairs'.
"""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
import anyio.to_thread

ROUNDS = 5
ROOT = Path(__file__).parent.parent
LINE = "from bytes to answer of a line of a million"
CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "get_widgets_data of dashboard 11": ("get_widgets_data", {"dashboard_id": 11}),
    "the same with compare_to": (
        "get_widgets_data", {"dashboard_id": 11, "window": "7d", "compare_to": "previous_week"}
    ),
    "find_changes over 24h": ("find_changes", {"window": "24h"}),
    "find_changes over 7d": ("find_changes", {"window": "7d"}),
    "explain_change": ("explain_change", {"widget_id": 203}),
}  # fmt: skip


async def answer_in_turn(url: str) -> None:
    """In the process of one commit: for each line that names a call, make it and print its processor time."""
    from benchmarks import decoding  # noqa: PLC0415 - the measured commit's, as what follows
    from cekura_dashboards import TOOLS, Settings, call_tool, open_context  # noqa: PLC0415

    tools = {tool.name: tool for tool in TOOLS}
    settings, body = Settings.model_validate({"api_key": "sandbox", "base_url": url}), b""
    async with open_context(settings) as context:
        while name := (await anyio.to_thread.run_sync(sys.stdin.readline)).strip():
            body = body or (decoding.body_of(1_000_000) if name == LINE else b"")
            begun = time.process_time()
            if name == LINE:
                decoding.answer(body)
            else:
                tool, arguments = CALLS[name]
                await call_tool(context, tools[tool], arguments)
            print(json.dumps(time.process_time() - begun), flush=True)  # noqa: T201 - read by the other process


@contextmanager
def measured(tree: Path, url: str) -> Generator["subprocess.Popen[str]"]:
    """A process that runs the code of a tree."""
    paths = os.pathsep.join(str(tree / part) for part in ("", "tools", "server", "sandbox"))
    process = subprocess.Popen(  # noqa: S603 - this file
        [sys.executable, __file__, url], env=os.environ | {"PYTHONPATH": paths},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def seconds(process: "subprocess.Popen[str]", name: str) -> float:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the process has no pipes")
    process.stdin.write(f"{name}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main(commit: str, rounds: int) -> None:
    from benchmarks.figures import header  # noqa: PLC0415 - not in the measured processes
    from benchmarks.processes import free_port, running  # noqa: PLC0415 - not in the measured processes

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    sandbox = ("-m", "cekura_dashboards_mcp", "sandbox", "--port", str(port))
    with TemporaryDirectory() as folder, running(*sandbox, port=port):
        other = Path(folder) / "other"
        subprocess.run(["git", "worktree", "add", "-q", "--detach", other, commit], cwd=ROOT, check=True)  # noqa: S603, S607
        try:
            with measured(other, url) as before, measured(ROOT, url) as now:
                print("\n".join(header("processor time", commit, "now", "ratio")))  # noqa: T201 - its output
                for name in (*CALLS, LINE):
                    for process in (before, now):
                        seconds(process, name)
                    pairs = [(seconds(before, name), seconds(now, name)) for _ in range(rounds)]
                    old, new = (1000 * statistics.median(pair[place] for pair in pairs) for place in (0, 1))
                    ratio = statistics.median(b / a for a, b in pairs)
                    print(f"| {name} | {old:.0f} ms | {new:.0f} ms | {ratio:.2f} |", flush=True)  # noqa: T201 - its output
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", other], cwd=ROOT, check=True)  # noqa: S603, S607


if __name__ == "__main__":
    if sys.argv[1].startswith("http"):
        anyio.run(answer_in_turn, sys.argv[1])
    else:
        main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else ROUNDS)  # noqa: PLR2004 - the second argument
