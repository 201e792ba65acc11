"""From the bytes of a line's data to the answer: time in this process, memory in a separate one."""

import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cekura_dashboards.api.chart_data import ChartEnvelope, decode
from cekura_dashboards.api.models import WidgetConfig
from cekura_dashboards.charts.target import ChartReading, Target, Window
from cekura_dashboards.reports.budget import fit
from cekura_dashboards.reports.render import render_report
from cekura_dashboards.reports.report import ReportOptions, report

END = datetime(2026, 11, 18, 15, 30, tzinfo=UTC)
START = END - timedelta(days=29)
LINE = WidgetConfig(chart_type="line", field="duration")
ROUNDS = 3


@dataclass(frozen=True)
class Decoding:
    """``megabytes``: how much the process grew at its largest, beyond the data itself."""

    calls: int
    seconds: float
    megabytes: float


def body_of(calls: int, end: datetime = END) -> bytes:
    """Calls spread evenly over 29 days, their lengths without an order."""
    start = end - (END - START)
    step = (end - start) / calls
    rows = ",".join(
        f'{{"id":{1_000_000 + i},"timestamp":"{(start + i * step).isoformat(timespec="seconds")[:19]}Z",'
        f'"value":{i * 7919 % 6000 / 10}}}'
        for i in range(calls)
    )
    return f'{{"chart_type":"line","data":[{rows}],"metadata":{{"data_type":"numeric"}}}}'.encode()


def answer(body: bytes) -> str:
    chart = decode(ChartEnvelope.decode(body), chart_type="line", group_by=None)
    reading = ChartReading(Target(LINE, {}), Window(START, END, "asked"), chart)
    return render_report(fit([report(reading, ReportOptions(30))])[0])


def seconds(calls: int) -> float:
    """The median of a few rounds."""
    body, taken = body_of(calls), list[float]()
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        answer(body)
        taken.append(time.perf_counter() - begun)
    return sorted(taken)[ROUNDS // 2]


def peak_megabytes() -> float:
    """The peak memory of this process so far; 0 if the system does not report it."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def decodings() -> list[Decoding]:
    found = list[Decoding]()
    for calls in (100_000, 1_000_000):
        grown = subprocess.run(  # noqa: S603 - this module itself
            [sys.executable, "-m", "benchmarks.decoding", str(calls)], capture_output=True, text=True, check=True
        )  # fmt: skip
        found.append(Decoding(calls, seconds(calls), float(grown.stdout)))
    return found


def grown(calls: int) -> float:
    body = body_of(calls)
    before = peak_megabytes()
    answer(body)
    return peak_megabytes() - before


if __name__ == "__main__":
    print(grown(int(sys.argv[1])))  # noqa: T201 - read by the process that started this one
