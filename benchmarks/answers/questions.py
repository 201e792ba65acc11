"""Ten questions with their answers: from the simulated effect, or computed from the calls with NumPy."""

from dataclasses import dataclass

import numpy as np

from benchmarks.answers.calls import DAY, HOUR, Calls, Floats
from benchmarks.answers.charts import Chart, day_of, iso
from benchmarks.answers.plants import Planted

Answer = float | str
NO = "no"
"""The answer to a yes-or-no question where there is nothing; anything else is a yes that says more."""
KINDS = (
    "overall", "calls", "extreme", "one bucket or label", "level moved", "step at", "unusual day", "outage", "changed",
    "driver",
)  # fmt: skip
YES_OR_NO = frozenset(KINDS[4:])
ENOUGH_CALLS = 5
ENOUGH_FOR_HOURS = 240 * 29
"""Calls in a long window that it takes for a line to be looked at by the hour."""


@dataclass(frozen=True)
class Question:
    """``detail``: highest or lowest, or which bucket or label."""

    kind: str
    truth: Answer
    detail: str = ""

    def is_right(self, answer: Answer | None) -> bool:
        """Figures to a tenth of a percent; a step to a day; else the same words. No answer is never right."""
        if answer is None or isinstance(answer, str) != isinstance(self.truth, str):
            return False
        if isinstance(answer, str) or isinstance(self.truth, str):
            return answer in self._alike()
        return abs(answer - self.truth) <= 0.001 * abs(self.truth) + 1e-9

    def _alike(self) -> tuple[str, ...]:
        truth = str(self.truth)
        if self.kind != "step at" or truth == NO:
            return (truth,)
        day = np.datetime64(truth)
        return tuple(str(day + np.timedelta64(shift, "D")) for shift in (-1, 0, 1))


def questions(found: Planted, chart: Chart, rng: np.random.Generator) -> list[Question]:
    """Those that this chart can answer and that have one answer."""
    if chart.kind == "pie":
        return _of_pie(found, rng)
    if chart.kind == "stat":
        return [
            Question("overall", float(np.mean(found.this.value))),
            Question("calls", float(len(found.this.time))),
        ]
    asked = [Question("overall", _overall(found.this, chart)), Question("calls", float(len(found.this.time)))]
    return [*asked, *_of_buckets(found, chart, rng), *_of_course(found, chart), *_of_sides(found, chart)]


def _measured(calls: Calls, chart: Chart) -> Floats:
    return calls.success if chart.measure == "success" else calls.value


def _overall(calls: Calls, chart: Chart) -> float:
    if chart.measure == "calls":
        return float(len(calls.time))
    if chart.measure == "p95":
        return float(np.quantile(calls.value, 0.95))
    return float(np.mean(_measured(calls, chart)))


def _of_buckets(found: Planted, chart: Chart, rng: np.random.Generator) -> list[Question]:
    """The highest or lowest full bucket of five calls or more, and the value of any one day."""
    direction = "highest" if rng.integers(2) else "lowest"
    step = chart.step
    starts = np.arange(found.start, found.end - step + 1, step)
    values, counts = _values(found.this, chart, starts, step)
    seen = np.ones(len(starts), bool) if chart.measure == "calls" else counts >= ENOUGH_CALLS
    asked = list[Question]()
    ordered = np.sort(values[seen] if direction == "lowest" else -values[seen])
    if len(ordered) > 1 and ordered[0] != ordered[1]:
        at = float(starts[seen][np.argmin(values[seen] if direction == "lowest" else -values[seen])])
        asked.append(Question("extreme", day_of(at) if step == DAY else iso(at)[:16] + "Z", direction))
    days = np.arange(found.start, found.end - DAY + 1, DAY)
    if not len(days):
        return asked
    values, counts = _values(found.this, chart, days, DAY)
    which = int(rng.choice(np.flatnonzero(counts > 0)))
    return [*asked, Question("one bucket or label", float(values[which]), day_of(float(days[which])))]


def _values(calls: Calls, chart: Chart, starts: Floats, step: int) -> tuple[Floats, Floats]:
    parts = [_measured(calls, chart)[(calls.time >= start) & (calls.time < start + step)] for start in starts]
    counts = np.array([len(part) for part in parts], float)
    if chart.measure == "calls":
        return counts, counts
    return np.array([_one(part, chart) if len(part) else np.nan for part in parts]), counts


def _one(part: Floats, chart: Chart) -> float:
    return float(np.quantile(part, 0.95)) if chart.measure == "p95" else float(np.mean(part))


def _of_course(found: Planted, chart: Chart) -> list[Question]:
    """A pure trend is not asked where its step is, nor an outage in calls whether a day is unusual.

    Nor is anything of a level that changes where the window begins, which the days before show.
    """
    if found.changed or found.driver:
        return []
    moved = found.moved_volume if chart.measure == "calls" else found.moved
    asked = [Question("level moved", direction(moved))]
    if found.step is not None or not moved:
        asked.append(Question("step at", NO if found.step is None else day_of(found.step)))
    if found.outage is None or chart.measure != "calls":
        asked.append(Question("unusual day", NO if found.unusual is None else day_of(found.unusual)))
    by_hour = chart.step == HOUR or (chart.kind == "line" and len(found.this.time) > ENOUGH_FOR_HOURS)
    if found.outage is None or by_hour:
        asked.append(Question("outage", NO if found.outage is None else iso(found.outage)[:16] + "Z"))
    return asked


def _of_sides(found: Planted, chart: Chart) -> list[Question]:
    if found.that is None or found.changed is None:
        return []
    changed = 0 if chart.measure == "calls" else found.changed
    asked = [Question("changed", direction(changed))]
    if chart.grouped:
        asked.append(Question("driver", _driver(found) if changed else NO))
    return asked


def _driver(found: Planted) -> str:
    name, how = found.driver or (None, NO)
    return how if name is None else f"{name}, {how}"


def _of_pie(found: Planted, rng: np.random.Generator) -> list[Question]:
    labels, counts = np.unique(found.this.reason, return_counts=True)
    ordered = sorted(zip((-counts).tolist(), labels.tolist(), strict=True))
    place, whole = int(rng.integers(1, min(6, len(ordered)))), float(counts.sum())
    asked = [
        Question("overall", whole),
        Question("calls", whole),
        Question("one bucket or label", round(-100 * ordered[place][0] / whole, 1), f"reason {ordered[place][1]}"),
    ]
    if ordered[0][0] != ordered[1][0]:
        asked.append(Question("extreme", f"reason {ordered[0][1]}", "highest"))
    if found.that is not None:
        asked.append(Question("driver", _driver(found) if found.driver else NO))
    return asked


def direction(sign: float) -> str:
    return "up" if sign > 0 else "down" if sign < 0 else NO
