"""Mechanical readers, each of which knows only the documented form of its input."""

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from benchmarks.answers import analyst
from benchmarks.answers.asked import Handed
from benchmarks.answers.calls import DAY, HOUR
from benchmarks.answers.charts import Json, Rows, day_of, iso
from benchmarks.answers.questions import ENOUGH_CALLS, NO, Answer, Question, direction

STEPS = {"5m": 300, "15m": 900, "1h": HOUR, "3h": 3 * HOUR, "6h": 6 * HOUR, "12h": DAY // 2, "1d": DAY}
OVERALL = ("overall", "mean", "rate", "total", "avg_duration")
LEVELS = ("step", "trend or step", "trend")


class Reader(Protocol):
    """Answers a question from its input; None if it cannot."""

    def answer(self, question: Question) -> Answer | None: ...


class OfSummary:
    """The tool's answers: facts, series, findings, comparison.

    Only what is ``clear`` is a change between two times. What brought a change is read of ``possible`` ones too, of
    shares as of means.
    """

    def __init__(self, handed: Handed) -> None:
        self._report = handed.answers[0]
        self._compared: Json = handed.answers[-1].get("comparison") or {}
        self._kind, self._measure = handed.chart.kind, handed.chart.measure

    def answer(self, question: Question) -> Answer | None:
        facts: Json = self._report.get("facts") or {}
        match question.kind:
            case "overall":
                names = OVERALL if self._measure != "p95" else ("p95",)
                return next((float(facts[name]) for name in names if name in facts), None)
            case "calls":
                return float(self._report["n"])
            case "extreme":
                return self._extreme(question.detail, facts)
            case "one bucket or label":
                if self._kind == "pie":
                    return next((float(row[2]) for row in facts["top"] if row[0] == question.detail), None)
                figures = self._days().get(question.detail)
                return None if figures is None else figures[0]
            case "changed":
                return direction(self._compared["difference"]) if self._compared.get("verdict") == "clear" else NO
            case "driver":
                return self._driver()
            case _:
                return self._found(question.kind)

    def _extreme(self, which: str, facts: Json) -> Answer | None:
        if self._kind == "pie":
            return str(facts["top"][0][0])
        if which in facts:
            return str(facts[which][0])
        days = [(mean, day) for day, (mean, n) in self._days().items() if n >= ENOUGH_CALLS]
        return (max if which == "highest" else min)(days)[1] if days else None

    def _days(self) -> dict[str, tuple[float, float]]:
        """Value and calls of the full days that the series shows; parts of a day are put together by their calls."""
        series = self._report.get("series")
        if series is None:
            return {}
        start = datetime.fromisoformat(series["start"]).replace(tzinfo=UTC).timestamp()
        parts_by_day, cut = defaultdict[str, list[tuple[float, float]]](list), set[str]()
        added = series["measure"] == "count"
        for i, value in enumerate(series["value"]):
            day = day_of(start + i * STEPS[series["step"]])
            if i in (series.get("partial") or []):
                cut.add(day)
            if value is not None:
                parts_by_day[day].append((float(value), float(value if added else series["n"][i])))
        found = dict[str, tuple[float, float]]()
        for day, parts in parts_by_day.items():
            calls = sum(n for _, n in parts)
            if day not in cut and calls:
                found[day] = (calls if added else sum(v * n for v, n in parts) / calls, calls)
        return found

    def _found(self, asked: str) -> Answer | None:
        if "findings" not in self._report:
            return None
        found: list[Json] = [one for one in self._report["findings"] if not one.get("before_window")]
        if asked == "level moved":
            return direction(sum(f["change"] for f in found if f["kind"] in LEVELS))
        kinds: dict[str, tuple[tuple[str, ...], str]] = {
            "step at": (LEVELS[:2], "at"), "unusual day": (("outlier",), "from"), "outage": (("outage",), "from"),
        }  # fmt: skip
        wanted, place = kinds[asked]
        rows = [f for f in found if f["kind"] in wanted]
        if asked == "step at":
            rows.sort(key=lambda f: -abs(f["change"]))
        if not rows:
            return NO
        return str(rows[0][place]) if asked == "outage" else str(rows[0][place])[:10]

    def _driver(self) -> Answer | None:
        if "shares" in self._compared:
            first = self._compared["shares"]["top"][0]
            return NO if first["verdict"] == "not significant" else f"{first['label']}, share"
        if self._compared.get("verdict") not in {"clear", "possible"}:
            return NO
        split = self._compared["contributors"]
        if abs(split["mix_effect"]) > abs(split["rate_effect"]):
            return "mix"
        return f"{split['top'][0]['group']}, rate"


class OfRows:
    """Rows of the API, as many as there are, with all of NumPy and SciPy at hand."""

    def __init__(self, handed: Handed, this: Rows | Json, that: Rows | Json) -> None:
        self._handed, self._this, self._that = handed, this, that

    def answer(self, question: Question) -> Answer | None:
        handed, this = self._handed, self._this
        if isinstance(this, dict):
            return float(this["avg_duration" if question.kind == "overall" else "total_calls"])
        if handed.chart.kind == "pie":
            return self._of_pie(this, question)
        table = analyst.table(this, handed.chart, handed.start, handed.end)
        how: dict[str, Callable[[], Answer | None]] = {
            "overall": table.overall,
            "calls": table.calls,
            "extreme": lambda: self._place(table.extreme(question.detail, ENOUGH_CALLS)),
            "one bucket or label": lambda: table.days().get(question.detail),
            "level moved": lambda: direction(analyst.moved(table.course())),
            "step at": lambda: self._place(analyst.step(table), day=True),
            "unusual day": lambda: self._place(analyst.unusual(table), day=True),
            "outage": lambda: self._place(analyst.outage(table)),
        }
        return how.get(question.kind, lambda: self._of_sides(question, table))()

    def _place(self, time: float | None, *, day: bool = False) -> Answer:
        if time is None:
            return NO
        by_day = day or (self._handed.chart.step == DAY and time % DAY == 0)
        return day_of(time) if by_day else iso(time)[:16] + "Z"

    def _of_sides(self, question: Question, this: analyst.Table) -> Answer | None:
        assert isinstance(self._that, list)  # noqa: S101 - only a stat is no list
        that = analyst.table(self._that, self._handed.chart, self._handed.before, self._handed.start)
        changed = analyst.changed(this.course(), that.course())
        if question.kind == "changed" or not changed:
            return direction(changed)
        return analyst.driver(this.groups(), that.groups())

    def _of_pie(self, rows: Rows, question: Question) -> Answer | None:
        counts = {str(row["label"]): float(row["value"]) for row in rows}
        match question.kind:
            case "overall" | "calls":
                return sum(counts.values())
            case "extreme":
                return max(counts, key=lambda label: counts[label])
            case "one bucket or label":
                return next((float(row["percentage"]) for row in rows if row["label"] == question.detail), None)
            case _:
                assert isinstance(self._that, list)  # noqa: S101 - only a stat is no list
                found = analyst.label_moved(counts, {str(row["label"]): float(row["value"]) for row in self._that})
                return NO if found is None else f"{found}, share"
