"""Existing failure modes, counted in both windows. No request starts a new analysis."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import ApiError, DashboardsError
from cekura_dashboards.api.filters import fields_of, instant
from cekura_dashboards.api.models import JsonObject, WidgetConfig
from cekura_dashboards.api.records import FailureCalls, FailureMode
from cekura_dashboards.charts.target import Window
from cekura_dashboards.context import AGENT_ID_FIELDS, ToolContext, gather, gather_tried
from cekura_dashboards.reports.edits import measure_kind
from cekura_dashboards.stats.significance import NORMAL, share_score
from cekura_dashboards.text import UntrustedText

MOST_KEPT = 500
"""The API keeps at most this many calls of a metric's failure modes, so calls of earlier windows may be missing."""
MAX_MODES, MAX_CALLS = 3, 5
"""Maximum modes to count, two requests each, and calls to name for each."""
LEVEL = 0.05
"""The level of ``possible``, as for all verdicts."""
FAILURES = "failure modes"


class FailureModeShown(BaseModel):
    """The calls of one failure mode in both windows."""

    mode: UntrustedText
    metric: int
    current: int
    baseline: int
    verdict: Literal["possible", "not significant", "not tested"]
    call_ids: list[int] | None = Field(default=None, description="the newest current ones, where it differs")


class FailureModes(BaseModel):
    """The modes, those that differ first. ``of``: the calls of both windows among which they are counted."""

    of: list[int] = Field(description="calls, current and baseline")
    modes: list[FailureModeShown]
    not_tested: str | None = None

    @property
    def differ(self) -> bool:
        return any(mode.verdict == "possible" for mode in self.modes)


class FailureScope(Struct, frozen=True):
    """The metrics and agents whose failure modes are counted. ``sizes``: the calls of current and baseline."""

    project: int
    agents: list[int]
    metric: int | None
    windows: tuple[Window, Window]
    sizes: tuple[float, float]


def failure_scope(
    config: WidgetConfig,
    calls: JsonObject | None,
    project: int | None,
    agents: Sequence[int],
    windows: tuple[Window, Window],
    sizes: tuple[float, float],
) -> FailureScope | None:
    """None for a measure without failure modes, or a selection of calls that they cannot be limited to."""
    kind = measure_kind(config)
    if kind == "other" or project is None or {*fields_of(calls)} - AGENT_ID_FIELDS:
        return None
    return FailureScope(project, [*agents], config.metric if kind == "metric" else None, windows, sizes)


class CountedModes(NamedTuple):
    """The failure modes in both windows; a note if they could not be read; the number of requests."""

    modes: FailureModes | None = None
    notes: Sequence[str] = ()
    requests: int = 0


async def count_failure_modes(context: ToolContext, scope: FailureScope | None) -> CountedModes:
    """The failure modes in both windows, read in two round trips."""
    if scope is None:
        return CountedModes()
    api, project, agents = context.brief_api, scope.project, scope.agents
    try:
        if agents:
            mine, every = await gather(api.failure_modes(project, agents), api.failure_modes(project, []))
        else:
            mine = every = await api.failure_modes(project, [])
    except DashboardsError as error:
        why = str(error.status) if isinstance(error, ApiError) else "unreadable or no response"
        return CountedModes(notes=[f"not looked at: {FAILURES} ({why})"], requests=1 + bool(agents))
    modes = [mode for mode in mine if scope.metric in {None, mode.metric} and mode.count][:MAX_MODES]
    windows = [(instant(window.start), instant(window.end)) for window in scope.windows]
    asked = [(mode, start, end) for mode in modes for start, end in windows]
    counts, failed = await gather_tried(
        api.failure_calls(mode, project, agents, start=start, end=end) for mode, start, end in asked
    )
    requests = 1 + bool(agents) + len(asked)
    if failed or not modes:
        return CountedModes(notes=[f"not looked at: calls of {FAILURES}"] if failed else [], requests=requests)
    kept = Counter[int]()
    for mode in every:
        kept[mode.metric] += mode.count
    full = {metric for metric, count in kept.items() if count >= MOST_KEPT}
    shown = [
        _shown(mode, (counts[2 * place], counts[2 * place + 1]), scope.sizes, len(modes), is_full=mode.metric in full)
        for place, mode in enumerate(modes)
    ]
    shown.sort(key=lambda mode: mode.verdict != "possible")
    reason = f"the API keeps at most {MOST_KEPT} calls a metric, so earlier ones may be missing"
    if min(scope.sizes) <= 0:
        reason = f"no calls in the {'current window' if scope.sizes[0] <= 0 else 'baseline'}"
    tested = all(mode.verdict != "not tested" for mode in shown)
    sizes = [round(size) for size in scope.sizes]
    counted = FailureModes(of=sizes, modes=shown, not_tested=None if tested else reason)
    return CountedModes(counted, requests=requests)


def _shown(
    mode: FailureMode,
    sides: tuple[FailureCalls, FailureCalls],
    sizes: tuple[float, float],
    tests: int,
    *,
    is_full: bool,
) -> FailureModeShown:
    current, baseline = sides
    verdict: Literal["possible", "not significant", "not tested"] = "not tested"
    if not is_full and min(sizes) > 0 and max(current.count, baseline.count) <= min(MOST_KEPT, *sizes):
        p_value = chance_of(current.count, baseline.count, sizes[0] / (sizes[0] + sizes[1]))
        verdict = "possible" if p_value * tests <= LEVEL else "not significant"
    return FailureModeShown(
        mode=UntrustedText(mode.name, limit=60),
        metric=mode.metric,
        current=current.count,
        baseline=baseline.count,
        verdict=verdict,
        call_ids=(current.call_ids[:MAX_CALLS] or None) if verdict == "possible" else None,
    )


def chance_of(current: int, baseline: int, share: float) -> float:
    """The two-sided p-value of two counts, if both have one rate among the calls of their windows.

    ``share``: the current calls as a share of all. A count cannot show how correlated the calls of a day are, so a
    verdict based on it is at most ``possible``.

    Source: the conditional test of two Poisson counts, Przyborowski and Wilenski (1940), Biometrika 31.

    >>> round(chance_of(14, 3, 0.5), 3), chance_of(0, 0, 0.5)
    (0.013, 1.0)
    """
    whole = current + baseline
    if not whole or not 0 < share < 1:
        return 1.0
    return min(1.0, 2 * NORMAL.cdf(-share_score(current, whole, share)))


def failure_lines(modes: FailureModes | None) -> list[str]:
    if modes is None:
        return []
    rows = [f"{mode.mode} metric {mode.metric} {mode.current} {mode.baseline} {mode.verdict}" for mode in modes.modes]
    head = f"{FAILURES} (mode, of {modes.of[0]} current, of {modes.of[1]} baseline, verdict): {'; '.join(rows)}"
    calls = [f"  calls of {mode.mode}: {', '.join(map(str, mode.call_ids))}" for mode in modes.modes if mode.call_ids]
    return [head, *calls, *([f"  not tested: {modes.not_tested}"] if modes.not_tested else [])]
