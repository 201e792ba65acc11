"""Measure, print a table, and write it into ``benchmarks/README.md``."""

import platform
from datetime import UTC, datetime
from importlib.metadata import version

import anyio
import click

from benchmarks import decoding, figures, sizes, speed
from cekura_dashboards_mcp.protocol.profiles import CORE

TURNS = 3
OF_A_LINE = ("calls of a line", "from bytes to answer", "memory beyond the data", "over HTTP", "slowest health request")


async def measure(runs: int, rounds: int, calls: int) -> str:
    rows = [*await speed.starts(runs), *await speed.over_http(rounds, calls)]
    libraries = f"mcp {version('mcp')}, httpx {version('httpx')}"
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.system()}, Python {platform.python_version()}, {libraries}.",
        "",
        *figures.header("", "this server", "bare server", "ratio"),
        *(f"| {row.what} | {row.ours} | {row.bare} | {row.ratio:.2f} |" for row in rows),
        "",
        *figures.header("answer of get_widgets_data", "characters", "tokens", "the API's JSON", "tokens"),
        *(
            f"| {size.what} | {size.characters:,} | {size.tokens:,} | {size.raw_characters:,} | {size.raw_tokens:,} |"
            for size in await sizes.sizes()
        ),
    ]
    (size, tokens), (core_size, core_tokens) = sizes.tool_list(), sizes.tool_list(CORE)
    small = f"(`CEKURA_TOOLS=core`) {core_size:,} bytes, {core_tokens:,} tokens"
    waits = {calls: [await speed.health(calls) for _ in range(TURNS)] for calls in (100_000, 1_000_000)}
    return "\n".join(
        [
            *lines,
            "",
            f"What a model sees of the tool list: {size:,} bytes, {tokens:,} tokens; of the small profile {small}.",
            "",
            *figures.header(*OF_A_LINE),
            *(
                f"| {d.calls:,} | {d.seconds:.2f} s | {d.megabytes:.0f} MB "
                f"| {speed.spread([taken for _, taken in waits[d.calls]], 's', 1)} "
                f"| {speed.spread([slowest for slowest, _ in waits[d.calls]], 'ms', 0)} |"
                for d in decoding.decodings()
            ),
        ]
    )


@click.command()
@click.option("--runs", default=21, show_default=True, help="Starts of each server.")
@click.option("--rounds", default=200, show_default=True, help="Calls timed one by one.")
@click.option("--calls", default=1600, show_default=True, help="Calls in each turn of throughput.")
@click.option("--write/--no-write", default=True, show_default=True, help="Write the figures into the README.")
def main(runs: int, rounds: int, calls: int, *, write: bool) -> None:
    """Compare this server with a minimal one on the same SDK, in one run."""
    text = anyio.run(measure, runs, rounds, calls)
    click.echo(text)
    if write:
        figures.write("figures", text)


if __name__ == "__main__":
    main()
