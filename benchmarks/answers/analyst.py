"""An analyst with a textbook: results of NumPy and SciPy from rows, independent of the measured code."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import scipy  # loads scipy.stats, which takes a second, when it is first used

from benchmarks.answers.calls import DAY, HOUR, Floats
from benchmarks.answers.charts import Chart, Rows, day_of

SURE = 0.01
SHORTEST = 3
FAR, MAD_TO_SD = 4.0, 1.4826
MISSED = 15.0
Groups = dict[str, tuple[float, float]]


@dataclass(frozen=True)
class Table:
    """Columns of the rows: the start of each bucket or the time of each call, value, calls behind it, group."""

    chart: Chart
    start: float
    end: float
    time: Floats
    value: Floats
    n: Floats
    group: list[str]

    def overall(self) -> float:
        if self.chart.measure == "calls":
            return float(self.value.sum())
        return (
            float(np.median(self.value))
            if self.chart.measure == "p95"
            else float(np.average(self.value, weights=self.n))
        )

    def calls(self) -> float:
        return float(self.value.sum() if self.chart.measure == "calls" else self.n.sum())

    def buckets(self, step: int, least: float = 0) -> dict[float, float]:
        """The value of every complete bucket with at least this many calls."""
        place, found = self.time // step * step, dict[float, float]()
        for start in np.arange(self.start, self.end - step + 1, step):
            mine = place == start
            if self.chart.measure == "calls":
                found[float(start)] = float(self.value[mine].sum())
            elif mine.any() and self.n[mine].sum() >= least:
                found[float(start)] = float(np.average(self.value[mine], weights=self.n[mine]))
        return found

    def days(self) -> dict[str, float]:
        return {day_of(start): value for start, value in self.buckets(DAY).items()}

    def course(self) -> Floats:
        return np.array(list(self.buckets(DAY).values()))

    def extreme(self, which: str, least: float) -> float | None:
        buckets = self.buckets(self.chart.step, least)
        return (max if which == "highest" else min)(buckets, key=lambda start: buckets[start]) if buckets else None

    def groups(self) -> Groups:
        found = Groups()
        for name in dict.fromkeys(self.group):
            mine = np.array([group == name for group in self.group])
            found[name] = (float(self.n[mine].sum()), float(np.average(self.value[mine], weights=self.n[mine])))
        return found


def table(rows: Rows, chart: Chart, start: float, end: float) -> Table:
    name = "timestamp" if chart.kind == "line" else "time_interval"
    return Table(
        chart, start, end,
        time=np.array([datetime.fromisoformat(row[name]).timestamp() for row in rows]),
        value=np.array([float(row["value"]) for row in rows]),
        n=np.array([float(row.get("sample_count", 1)) for row in rows]),
        group=[str(row.get("group", "")) for row in rows],
    )  # fmt: skip


def moved(course: Floats) -> float:
    """The sign of a monotone trend, by Kendall's tau."""
    if len(course) < 2 * SHORTEST or np.ptp(course) == 0:
        return 0.0
    test = scipy.stats.kendalltau(np.arange(len(course)), course)
    return float(np.sign(test.statistic)) if test.pvalue < SURE else 0.0


def step(calls: Table) -> float | None:
    """The split with the largest difference by Welch's t, corrected for the places tried."""
    days = calls.buckets(DAY)
    course, starts = np.array(list(days.values())), list(days)
    places = range(SHORTEST, len(course) - SHORTEST + 1)
    if not places or np.ptp(course) == 0:
        return None
    chances = [float(scipy.stats.ttest_ind(course[:at], course[at:], equal_var=False).pvalue) for at in places]
    best = int(np.argmin(chances))
    return starts[places[best]] if chances[best] < SURE / len(chances) else None


def unusual(calls: Table) -> float | None:
    """The day furthest from the median, if that is four robust deviations or more."""
    days = calls.buckets(DAY)
    if len(days) < 2 * SHORTEST:
        return None
    course = np.array(list(days.values()))
    apart = np.abs(course - np.median(course))
    spread = MAD_TO_SD * np.median(apart)
    far = int(np.argmax(apart))
    return list(days)[far] if spread > 0 and apart[far] / spread >= FAR else None


def outage(calls: Table) -> float | None:
    """The start of the empty hours with most missing calls, if 15 or more are missing by the same hour of all days."""
    if calls.chart.kind != "line" and calls.chart.step > HOUR:
        return None
    hours = np.arange(calls.start, calls.end - HOUR + 1, HOUR)
    weights = calls.value if calls.chart.measure == "calls" else calls.n
    edges = np.append(hours, hours[-1] + HOUR)
    counts, _ = np.histogram(calls.time, edges, weights=weights)
    usual = {hour: float(counts[hours % DAY == hour].mean()) for hour in np.unique(hours % DAY).tolist()}
    expected, best, begun = 0.0, (MISSED, -1.0), -1.0
    for hour, count in zip(hours.tolist(), counts.tolist(), strict=True):
        if count > 0 or usual[hour % DAY] < 1:
            expected, begun = 0.0, -1.0
            continue
        begun = hour if begun < 0 else begun
        expected += usual[hour % DAY]
        if expected > best[0]:
            best = (expected, begun)
    return None if best[1] < 0 else best[1]


def changed(this: Floats, that: Floats) -> float:
    """The sign of the difference of two times, by Welch's t over their days."""
    if min(len(this), len(that)) < 2 or np.ptp(np.concatenate([this, that])) == 0:  # noqa: PLR2004 - a spread needs two
        return 0.0
    test = scipy.stats.ttest_ind(this, that, equal_var=False)
    return float(np.sign(test.statistic)) if test.pvalue < SURE else 0.0


def driver(this: Groups, that: Groups) -> str:
    """The group with the largest rate effect, or ``mix`` if shares of calls changed more; Kitagawa (1955)."""
    wholes = [sum(n for n, _ in side.values()) for side in (this, that)]
    rates, mixes = dict[str, float](), dict[str, float]()
    middle = sum(n * v / wholes[0] for n, v in this.values()) / 2 + sum(n * v / wholes[1] for n, v in that.values()) / 2
    for name in this.keys() & that.keys():
        (new_n, new), (old_n, old) = this[name], that[name]
        shares = new_n / wholes[0], old_n / wholes[1]
        rates[name] = (new - old) * sum(shares) / 2
        mixes[name] = (shares[0] - shares[1]) * ((new + old) / 2 - middle)
    if not rates or abs(sum(mixes.values())) > abs(sum(rates.values())):
        return "mix"
    return f"{max(rates, key=lambda name: abs(rates[name]))}, rate"


def label_moved(this: dict[str, float], that: dict[str, float]) -> str | None:
    """The label whose share changed most in standard errors, if it is beyond the 99 % of all labels together."""
    wholes, best = (sum(this.values()), sum(that.values())), (0.0, "")
    for label, count in this.items():
        shares = count / wholes[0], that.get(label, 0.0) / wholes[1]
        error = np.sqrt(sum(s * (1 - s) / whole for s, whole in zip(shares, wholes, strict=True)))
        best = max(best, (float(abs(shares[0] - shares[1]) / error), label))
    bound = float(scipy.stats.norm.ppf(1 - SURE / 2 / max(1, len(this))))
    return best[1] if best[0] > bound else None
