"""An alert replayed over the past month: its firings, and the changes that this product's tests find."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.arguments.alert import setting_words
from cekura_dashboards.charts.alert_scores import AgentScores, Scores
from cekura_dashboards.charts.calls import CallShown, call_table
from cekura_dashboards.charts.rows import bar_rows, label_of, unit_of
from cekura_dashboards.charts.target import format_instant
from cekura_dashboards.reports.changes import CLEAR_FALSE_DISCOVERY_RATE, FALSE_DISCOVERY_RATE
from cekura_dashboards.stats.alerts import (
    LEAST_DEVIATIONS,
    PRESETS,
    VARIANTS,
    AlertSetting,
    FailureAlert,
    Reading,
    ThresholdAlert,
    TrendAlert,
    counts_of_breaches,
    distances,
    replay,
)
from cekura_dashboards.stats.change import Change, changes_from_findings, is_notable
from cekura_dashboards.stats.findings import SCALES, Finding, Gap, Step, Unusual, exact
from cekura_dashboards.stats.significance import benjamini_hochberg
from cekura_dashboards.stats.timeline import DAY, Clock, iso
from cekura_dashboards.summaries.bar import bar_outcome, merge_groups
from cekura_dashboards.summaries.model import Bucket
from cekura_dashboards.text import SafeText, UntrustedText, counted, plain, untrusted
from cekura_dashboards.values import Array, np, replace

ALL_AGENTS = "all agents"
TESTS = 4
"""The number of tests of one series, as counted in ``find_changes``."""
MAX_CALLS, MAX_AGENTS, MAX_CHANGES = 6, 7, 6
"""Maximum listed; the rest is counted."""
MONTH = 28 * DAY
"""The minimum span for which one firing, the allowance of a month, is accepted."""
MOST_DEVIATIONS = 10.0
"""The largest multiplier that is suggested."""
TENTHS = 10
"""Suggested multipliers are rounded up to a tenth."""


class SettingResult(BaseModel):
    """How often one setting would have fired, within changes and without."""

    setting: str
    fired: int
    days: int
    within_clear: int = Field(description="within changes that are clear")
    within_possible: int = Field(description="within changes that are possible")
    without_change: int = Field(description="on days without any change")


class ReplayedAlert(BaseModel):
    """One setting over the scores of the past month."""

    scores: int
    agents: int
    start: str = Field(serialization_alias="from")
    end: str = Field(serialization_alias="to")
    source: str
    unready: int | None = Field(default=None, description="calls before the first window is full, which cannot fire")
    result: SettingResult
    days: dict[str, int] | None = Field(default=None, description="firings by UTC day")
    by_agent: dict[SafeText, int] | None = None
    more_agents: int | None = None
    changes: list[SafeText] | None = Field(default=None, description="of the metric in this time")
    within_changes: int | None = Field(default=None, description="scores, if more than half lie within changes")
    more_changes: int | None = None
    calls: list[CallShown] | None = Field(default=None, description="at which it would have fired, the newest")
    beside: list[SettingResult] = Field(description="the presets")
    quieter: SettingResult | None = Field(default=None, description="fires at most once a month without a change")
    shorter: bool | None = Field(default=None, description="under a month was replayed, and quieter did not fire")
    none_quieter: bool | None = Field(default=None, description="no setting like this one fires so rarely")
    read_otherwise: dict[str, int] | None = Field(default=None, description="firings under other readings of the guide")


class ChangePeriod(Struct, frozen=True):
    """A change and its time. ``agent``: as shown; ``whole``: of all agents together."""

    agent: str | None
    whole: bool
    start: float
    end: float
    clear: bool
    is_step: bool
    words: str


def find_change_periods(
    scores: Scores, clock: Clock, names: Mapping[str, str]
) -> tuple[list[ChangePeriod], str | None]:
    """The changes in the metric's daily means, per agent and overall, corrected together; or why there are none.

    A step lasts until the next one of the same series, or until now.
    """
    chart = scores.bars.chart
    if chart is None:
        return [], f"the daily means could not be read, so no changes are known: {scores.bars.error}"
    rows = bar_rows(scores.bars, chart, dict(names))
    values = [bucket.value for bucket in rows.buckets if bucket.value is not None]
    if not values:
        return [], "there are no daily means in which to look for changes"
    unit = unit_of(scores.bars.target.config, chart, [*values])
    changes, untested = list[tuple[_Series, Finding, Change]](), dict[str, None]()
    series = _series_of(rows.buckets)
    for one in series:
        outcome = bar_outcome("avg", "day", unit, one.buckets, rows.span, clock, rows.span)
        untested |= dict.fromkeys(outcome.not_tested if outcome.findings is None else [])
        for finding in outcome.findings or []:
            changes += [(one, finding, change) for change in changes_from_findings([finding], SCALES.get(unit, 0.0))]
    p_values = [change.p_value for _, _, change in changes]
    limits = [
        benjamini_hochberg(p_values, share, TESTS * len(series))
        for share in (FALSE_DISCOVERY_RATE, CLEAR_FALSE_DISCOVERY_RATE)
    ]
    intervals = [
        _interval(one, finding, change, rows.span.end, clear=change.p_value <= limits[1])
        for one, finding, change in changes
        if change.p_value <= limits[0] and is_notable(change)
    ]
    ordered = sorted(intervals, key=lambda one: (not one.clear, not one.whole, one.start))
    return _ended(ordered), next(iter(untested), None) if not changes else None


class _Series(Struct, frozen=True):
    """The daily means of one agent, or of all."""

    agent: str | None
    whole: bool
    buckets: list[Bucket]


def _series_of(buckets: Sequence[Bucket]) -> list[_Series]:
    groups = dict.fromkeys(bucket.group for bucket in buckets)
    agents = [_Series(group, False, merge_groups("avg", (b for b in buckets if b.group == group))) for group in groups]
    return agents if len(groups) == 1 else [_Series(None, True, merge_groups("avg", buckets)), *agents]


def _interval(one: _Series, finding: Finding, change: Change, end: float, *, clear: bool) -> ChangePeriod:
    start, until = _seconds(change.at), end
    match finding:
        case Unusual():
            until = start + finding.buckets * DAY
            what = f"outlier from {finding.start}: {plain(finding.value)}, expected {plain(finding.expected)}"
        case Gap():
            until, what = _seconds(finding.end), f"no calls from {finding.start} to {finding.end}"
        case Step():
            what = f"{finding.kind} at {finding.at}: {plain(finding.before)} → {plain(finding.after)}"
        case _:
            what = f"trend from {finding.start}: {plain(finding.per_day)} a day"
    is_clear = clear and change.strongest_verdict == "clear"
    whose = ALL_AGENTS if one.whole else f"agent {plain(one.agent)}"
    words = f"{'clear' if is_clear else 'possible'}, {whose}: {what}"
    return ChangePeriod(one.agent, one.whole, start, until, is_clear, isinstance(finding, Step), words)


def _seconds(text: str | None) -> float:
    moment = datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _ended(intervals: Sequence[ChangePeriod]) -> list[ChangePeriod]:
    """The steps, each ending where the next one of its series begins."""

    def later(step: ChangePeriod) -> list[float]:
        same = (one for one in intervals if one.is_step and (one.agent, one.whole) == (step.agent, step.whole))
        return [one.start for one in same if one.start > step.start]

    return [replace(one, end=min([one.end, *later(one)])) if one.is_step else one for one in intervals]


class _Firing(Struct, frozen=True):
    """A call at which an alert fires. ``verdict``: of the change around it; empty without one."""

    agent: AgentScores
    place: int
    verdict: Literal["clear", "possible", ""]

    @property
    def time(self) -> float:
        return float(self.agent.times[self.place])


class Replay(Struct, frozen=True):
    """The scores of a metric, the changes in them, and the names of agents by id."""

    scores: Scores
    intervals: Sequence[ChangePeriod]
    names: dict[str, str]

    def firings(self, setting: AlertSetting) -> list[_Firing]:
        """The firings in order of time."""
        firings = [
            _Firing(agent, place, self._verdict(agent, place))
            for agent in self.scores.agents
            for place in replay(agent.scores, setting).tolist()
        ]
        return sorted(firings, key=lambda firing: firing.time)

    def count(self, setting: AlertSetting, reading: Reading) -> int:
        return sum(len(replay(agent.scores, setting, reading)) for agent in self.scores.agents)

    @property
    def is_month(self) -> bool:
        """Whether the scores cover a month, for which one firing is accepted."""
        return (self.scores.end - self.scores.start).total_seconds() >= MONTH

    @property
    def allowed(self) -> int:
        """The number of firings without a change that is accepted of a quiet setting."""
        return int(self.is_month)

    def unready(self, setting: AlertSetting) -> int:
        """The calls before each agent's first full window, at which a trend cannot fire."""
        if not isinstance(setting, TrendAlert):
            return 0
        return sum(min(setting.window, len(agent.scores)) for agent in self.scores.agents)

    def name(self, agent: AgentScores) -> str | None:
        return label_of(agent.agent, self.names)

    def _verdict(self, agent: AgentScores, place: int) -> Literal["clear", "possible", ""]:
        time, name = float(agent.times[place]), self.name(agent)
        holding = [one for one in self.intervals if one.start <= time < one.end and (one.whole or one.agent == name)]
        return "clear" if any(one.clear for one in holding) else "possible" if holding else ""

    @property
    def within_changes(self) -> int:
        """The scores that lie within a change."""
        return sum(bool(self._verdict(agent, at)) for agent in self.scores.agents for at in range(len(agent.scores)))

    def result(self, setting: AlertSetting) -> SettingResult:
        firings = self.firings(setting)
        verdicts = Counter(firing.verdict for firing in firings)
        return SettingResult(
            setting=setting_words(setting),
            fired=len(firings),
            days=len({_day(firing) for firing in firings}),
            within_clear=verdicts["clear"],
            within_possible=verdicts["possible"],
            without_change=verdicts[""],
        )

    def quieter(self, setting: AlertSetting) -> AlertSetting | None:
        """The most sensitive similar setting that fires at most once without a change; None if there is none.

        For a trend the multiplier is raised, for a threshold the breaches. A failure alert has neither, so a
        trend that watches for a fall replaces it, with at least the smallest multiplier of the presets.
        """
        allowed = self.allowed
        if isinstance(setting, ThresholdAlert):
            heights = self._heights(lambda scores: counts_of_breaches(scores, setting))
            least = int(heights[-1 - allowed]) + 1 if len(heights) > allowed else 1
            least = max(least, setting.min_breaches)
            return replace(setting, min_breaches=least) if least <= setting.window else None
        trend = replace(PRESETS["balanced"], direction="decrease") if isinstance(setting, FailureAlert) else setting
        heights = self._heights(lambda scores: distances(scores, trend))
        height = heights[-1 - allowed] if len(heights) > allowed else 0.0
        if height >= MOST_DEVIATIONS:
            return None
        multiplier = (math.floor(height * TENTHS) + 1) / TENTHS
        lowest = setting.multiplier if isinstance(setting, TrendAlert) else LEAST_DEVIATIONS
        return replace(trend, multiplier=max(multiplier, lowest))

    def _heights(self, of_agent: Callable[[Array], Array]) -> list[float]:
        """The distances beyond the limits of calls without a change, in ascending order."""
        heights = list[float]()
        for agent in self.scores.agents:
            measured = of_agent(agent.scores)
            places = np.flatnonzero(np.nan_to_num(measured, nan=0.0, posinf=np.inf) > 0).tolist()
            heights += [float(measured[place]) for place in places if not self._verdict(agent, place)]
        return sorted(heights)


def _day(firing: _Firing) -> str:
    return iso(firing.time // DAY * DAY, step=DAY)


def replayed(replay: Replay, setting: AlertSetting, link: Callable[[Any], str | None]) -> ReplayedAlert:
    """The replay of a setting. ``link``: returns the address of a call by id."""
    scores, firings = replay.scores, replay.firings(setting)
    by_day = Counter(map(_day, firings))
    by_agent = Counter(str(plain(replay.name(firing.agent))) for firing in firings)
    result = replay.result(setting)
    is_noisy = result.without_change > replay.allowed
    quieter = replay.quieter(setting) if is_noisy else None
    others = {words: replay.count(setting, reading) for words, reading in VARIANTS.items()}
    within_changes = replay.within_changes
    return ReplayedAlert(
        scores=scores.count,
        agents=len(scores.agents),
        start=format_instant(scores.start),
        end=format_instant(scores.end),
        source=scores.source,
        unready=replay.unready(setting) or None,
        result=result,
        days=dict(sorted(by_day.items())) or None,
        by_agent=dict(by_agent.most_common(MAX_AGENTS)) if len(scores.agents) > 1 and firings else None,
        more_agents=max(0, len(by_agent) - MAX_AGENTS) or None,
        changes=[one.words for one in replay.intervals[:MAX_CHANGES]] or None,
        more_changes=max(0, len(replay.intervals) - MAX_CHANGES) or None,
        within_changes=within_changes if 2 * within_changes > scores.count else None,
        calls=[_call(replay, firing, link) for firing in reversed(firings[-MAX_CALLS:])] or None,
        beside=[replay.result(preset) for preset in _presets(setting) if preset != setting],
        quieter=replay.result(quieter) if quieter else None,
        shorter=True if is_noisy and not replay.is_month else None,
        none_quieter=True if is_noisy and quieter is None else None,
        read_otherwise={words: count for words, count in others.items() if count != result.fired} or None,
    )


def _presets(setting: AlertSetting) -> list[TrendAlert]:
    """The presets, with the direction of this setting."""
    direction = setting.direction if isinstance(setting, TrendAlert) else "both"
    return [replace(preset, direction=direction) for preset in PRESETS.values()]


def _call(replay: Replay, firing: _Firing, link: Callable[[Any], str | None]) -> CallShown:
    agent, number = firing.agent, firing.agent.ids[firing.place]
    is_id = isinstance(number, int) and not isinstance(number, bool)
    return CallShown(
        id=number if is_id else UntrustedText("without id" if number is None else str(number), limit=40),
        time=format_instant(datetime.fromtimestamp(firing.time, UTC)),
        agent=untrusted(replay.name(agent)),
        value=exact(float(agent.scores[firing.place])),
        link=link(number) if is_id else None,
    )


def replay_lines(answer: ReplayedAlert) -> list[str]:
    """The text of a replay."""
    unready = f"; {counted(answer.unready, 'call')} cannot fire, as the first windows fill up" if answer.unready else ""
    of_agents = counted(answer.agents, "agent")
    lines = [
        f"replayed over {counted(answer.scores, 'score')} of {of_agents}, {answer.start} to {answer.end}{unready}",
        f"read from {answer.source}",
        f"it would have fired {_times(answer.result)}",
    ]
    if answer.days:
        lines.append("days: " + ", ".join(f"{day} {count}" for day, count in answer.days.items()))
    if answer.by_agent:
        more = f", {counted(answer.more_agents, 'more agent')}" if answer.more_agents else ""
        lines.append("by agent: " + ", ".join(f"{name} {count}" for name, count in answer.by_agent.items()) + more)
    lines += [f"change: {words}" for words in answer.changes or []]
    if answer.more_changes:
        lines.append(f"omitted: {counted(answer.more_changes, 'change')}")
    if answer.within_changes:
        count, rest = f"{answer.within_changes} of the {answer.scores} scores", answer.scores - answer.within_changes
        lines.append(f"{count} lie within changes, which leaves {rest} to judge it without a change")
    if answer.calls:
        lines += [f"calls at which it would have fired, the newest {len(answer.calls)}:", *call_table(answer.calls)]
    lines += ["setting | fired | days | within clear | within possible | without change"]
    lines += [_row(row) for row in (answer.result, *answer.beside)]
    if answer.none_quieter:
        lines.append("no setting of this kind would have fired at most once a month without a change")
    if answer.quieter:
        often = "not once in less than a month" if answer.shorter else "at most once a month"
        lines.append(f"{often} without a change: {_row(answer.quieter)}")
    if answer.read_otherwise:
        counts = "; ".join(f"{words}: {count}" for words, count in answer.read_otherwise.items())
        lines.append(f"where the API's guide is silent, other readings give: {counts}")
    return lines


def _times(result: SettingResult) -> str:
    if not result.fired:
        return "0 times"
    possible = f", {result.within_possible} within possible ones" if result.within_possible else ""
    return (
        f"{counted(result.fired, 'time')} on {counted(result.days, 'day')}: "
        f"{result.within_clear} within clear changes{possible}, {result.without_change} on days without any change"
    )


def _row(row: SettingResult) -> str:
    counts = (row.fired, row.days, row.within_clear, row.within_possible, row.without_change)
    return " | ".join([row.setting, *map(str, counts)])
