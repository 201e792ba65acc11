"""Targets and readings: the charts to read, their windows, and the API's responses."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from msgspec import Struct
from pydantic import Field

from cekura_dashboards.api.chart_data import Chart, Memoised
from cekura_dashboards.api.errors import DashboardsError, InvalidArguments, NoTimeBefore, UnreadableAnswer
from cekura_dashboards.api.filters import Bounds, Filter, both, time_bounds, with_missing, without_time
from cekura_dashboards.api.models import LIMIT, MARGIN, Dashboard, JsonObject, Widget, WidgetConfig
from cekura_dashboards.arguments.references import DashboardId, ProjectId, WidgetId
from cekura_dashboards.arguments.times import (
    ROLLING,
    WORDS,
    Interval,
    bare,
    fold,
    interval,
    is_interval,
    is_month,
    rolling,
    span_of,
)
from cekura_dashboards.arguments.widget import UNSAVED, NewWidget
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import UntrustedText, nearest
from cekura_dashboards.tool import Request
from cekura_dashboards.values import replace

WEEK = timedelta(weeks=1)
DEFAULT = "7d"
BY_DEFAULT = "default"
"""The source of a window that was not requested."""
SHORTEST = timedelta(minutes=5)


class Window(Struct, frozen=True):
    """The half-open span ``[start, end)`` in UTC, and where it came from: asked, saved or default."""

    start: datetime
    end: datetime
    source: str
    notes: tuple[str, ...] = ()
    weekdays_differ: bool = False
    """The note of a baseline that covers other weekdays or hours than the current window."""


def resolve(text: str, now: datetime, zone: ZoneInfo, *, source: str = "asked", argument: str = "window") -> Window:
    """A window from a word (15m, 24h, 7d, today, last_week, monday …), a date or an interval.

    Days and weeks begin in ``zone``, weeks on Monday; an interval of dates includes its last day. An end in the
    future becomes now, a start within 5 minutes of the API's 30-day limit moves inside it, and a month is cut to what
    the API keeps; ``notes`` say so.

    Raises:
        InvalidArguments: for another text, an empty window, or a start too long ago.
    """
    word = text.strip()
    start, end = _interval(word, now, zone, argument) if is_interval(word) else _word(word, now, zone, argument)
    notes = list[str]()
    if end > now:
        end = now
        if start < now:
            notes.append("the window ended in the future; it ends now")
    earliest = now - LIMIT
    if earliest - MARGIN <= start < earliest + MARGIN:
        start = earliest + MARGIN
        notes.append("the start was moved 5 minutes inside the API's limit of 30 days")
    elif start < earliest and is_month(word):
        start = earliest + MARGIN
        notes.append(f"of {fold(word)} only the part from {format_instant(start)}: the API keeps 30 days")
    elif start < earliest:
        raise InvalidArguments.at(
            argument, f"{UntrustedText(word, limit=60)} starts more than 30 days ago, which the API refuses; "
            f"the earliest start is {_earliest(now)}."
        )  # fmt: skip
    if start >= end:
        why = (
            "it lies in the future; use one that has begun." if start > now else "it ends before it starts; swap them."
        )
        if end <= earliest + MARGIN:
            why = f"it ends before the API's last 30 days; the earliest start is {_earliest(now)}."
        elif start == now:
            why = "it starts now; use 24h, or an earlier window."
        raise InvalidArguments.at(argument, f"{UntrustedText(word, limit=60)} is empty: {why}")
    return Window(start.astimezone(UTC), end.astimezone(UTC), source, tuple(notes))


def is_off_utc(window: Window, zone: tzinfo) -> bool:
    """Whether days of the zone differ from UTC days at either end of the window."""
    return any(moment.astimezone(zone).utcoffset() for moment in (window.start, window.end))


def recent_window(text: str | None, now: datetime, zone: ZoneInfo) -> Window:
    """The requested window; without one the last 7 days.

    Raises:
        InvalidArguments: as ``resolve`` does.
    """
    return resolve(text, now, zone) if text else resolve(DEFAULT, now, zone, source=BY_DEFAULT)


def saved_window(bounds: Bounds, now: datetime, zone: ZoneInfo) -> Window:
    """The saved date range up to now; without one the last 7 days, with a note."""
    if bounds.start is None:
        window = recent_window(None, now, zone)
        return replace(window, notes=(*window.notes, "no date range is saved, so the last 7 days are shown"))
    end = min(bounds.end, now) if bounds.end else now
    return Window(bounds.start, max(end, bounds.start), "saved")


def _word(text: str, now: datetime, zone: ZoneInfo, argument: str) -> Interval:
    span = span_of(text, now, zone)
    if span is None:
        nearest_word = nearest(fold(text), WORDS)
        hint = (
            f"did you mean {nearest_word}?"
            if nearest_word
            else f"use {', '.join(WORDS)} or an interval 2026-11-01/2026-11-08."
        )
        raise InvalidArguments.at(argument, f"{UntrustedText(text, limit=60)} is not a window; {hint}")
    if ROLLING.fullmatch(rolling(text) or "") and span[1] - span[0] < SHORTEST:
        message = f"{UntrustedText(text, limit=60)} is too short; the shortest is 5m, five minutes, and a month is 30d."
        raise InvalidArguments.at(argument, message)
    return span


def _interval(text: str, now: datetime, zone: ZoneInfo, argument: str) -> Interval:
    try:
        return interval(text, now, zone)
    except (ValueError, OverflowError):
        raise InvalidArguments.at(
            argument,
            f"{UntrustedText(text, limit=60)} is not an interval START/END of dates, ISO 8601 times or words, "
            "as 2026-11-01/2026-11-08 or monday/now.",
        ) from None


def format_instant(moment: datetime) -> str:
    """An instant in UTC to the minute.

    >>> format_instant(datetime(2026, 11, 21, 4, 20, 59, tzinfo=UTC))
    '2026-11-21T04:20Z'
    """
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def saved_range_text(filters: JsonObject | None, now: datetime) -> str:
    """A saved date range in words: ``since 2026-11-14T00:00Z``."""
    bounds = time_bounds(filters, now)
    words = [
        f"since {format_instant(bounds.start)}" if bounds.start else "",
        f"until {format_instant(bounds.end)}" if bounds.end else "",
    ]
    return " ".join(word for word in words if word) or "none"


def _earliest(now: datetime) -> str:
    """The earliest start that the API accepts."""
    return format_instant(now - LIMIT + MARGIN)


PERIOD_BEFORE = "previous_period"
COMPARISONS = (PERIOD_BEFORE, "previous_week")
_COMPARISON_ALIASES = {"last_week": "previous_week", "week_before": "previous_week", "period_before": PERIOD_BEFORE}
"""With this_week or today, they mean the same part of last week instead of the calendar week."""


def other_window(
    window: Window, how: str, now: datetime, zone: ZoneInfo, *, cut: Callable[[Window], Window] = lambda window: window
) -> Window:
    """The window to compare with: the one before, the same a week before, or an interval.

    The period before keeps the time of day: it lies whole days back if the window is a day or longer, or begins a day.
    If the window is under way, other days given by a word end at the same hour.
    ``cut``: applied to a window before it is compared, so that an error suggests a window that works.

    Raises:
        NoTimeBefore: for an overlap, or a start that the API no longer keeps.
        InvalidArguments: for another word.
    """
    if _is_window(how, now, zone):
        other = resolve(how, now, zone, argument="compare_to")
        if (window.start, window.end) in {(each.start, each.end) for each in (other, cut(other))}:
            text = f"{UntrustedText(how, limit=60)} is the window itself; use {PERIOD_BEFORE} for the time before it."
            raise InvalidArguments.at("compare_to", text)
        return _with_differences(window, other if is_interval(how) else _as_far(window, other, now, zone), zone)
    word = _comparison(how)
    start, end = _before(window, word, zone)
    if end > window.start:
        possible = has_a_period_before(window, now, zone)
        hint = PERIOD_BEFORE if possible else f"window {_longest(word, now, zone, cut)}d"
        raise NoTimeBefore.at("compare_to", f"{word} overlaps a window longer than a week; use {hint}.")
    if not _is_available(start, now):
        days = _longest(word, now, zone, cut)
        raise NoTimeBefore.at(
            "compare_to", f"{word} would start before the API's last 30 days; the longest window that can be "
            f"compared like this is the last {days} days ({days}d)."
        )  # fmt: skip
    return _with_differences(window, Window(max(start, now - LIMIT + MARGIN), end, word), zone)


def _as_far(window: Window, other: Window, now: datetime, zone: ZoneInfo) -> Window:
    """The other window; if it has as many days as a window under way, it is cut to the same time of day."""
    walls = [
        [edge.astimezone(zone).replace(tzinfo=None) for edge in (each.start, each.end)] for each in (window, other)
    ]
    day = timedelta(days=1)
    if any(start.time() != time.min for start, _ in walls):
        return other
    days = [-(-(end - start) // day) for start, end in walls]
    if window.end == now and days[0] == days[1] and walls[1][1].time() == time.min:
        note = "cut to the same hour, as the window is under way"
        end = _back(window.end, (walls[0][0] - walls[1][0]) // day, zone)
        return other if end == other.end else replace(other, end=end, notes=(*other.notes, note))
    if other.end == now and days[0] == days[1]:
        note = "the baseline is under way; if you swap the window and `compare_to`, both end at the same hour"
        return replace(other, notes=(*other.notes, note))
    return other


def _before(window: Window, word: str, zone: ZoneInfo) -> Interval:
    if word == PERIOD_BEFORE:
        return _period_before(window, zone)
    return _back(window.start, 7, zone), _back(window.end, 7, zone)


def _longest(word: str, now: datetime, zone: ZoneInfo, cut: Callable[[Window], Window]) -> int:
    """The days of the longest window up to now that can be compared in this way."""
    most = 7 if word == "previous_week" else LIMIT.days // 2
    windows = {days: cut(Window(now - timedelta(days), now, "asked")) for days in range(most, 1, -1)}
    fitting = (days for days, window in windows.items() if _is_comparable(window, word, now, zone))
    return next(fitting, 1)


def _is_comparable(window: Window, word: str, now: datetime, zone: ZoneInfo) -> bool:
    start, end = _before(window, word, zone)
    return _is_available(start, now) and end <= window.start


def _with_differences(window: Window, other: Window, zone: ZoneInfo) -> Window:
    """The other window, with a note if it covers other weekdays, or other hours of the day."""
    if other.start < window.end and other.end > window.start:
        other = replace(other, notes=(*other.notes, "the windows overlap: some calls count in both"))
    weeks = [(each.end - each.start) / WEEK for each in (window, other)]
    whole = all(abs(count - round(count)) * 7 * 24 <= 1 and round(count) for count in weeks)
    starts = [each.start.astimezone(zone).replace(tzinfo=None) for each in (window, other)]
    shift, as_long = abs(starts[0] - starts[1]), abs(weeks[0] - weeks[1]) * 7 * 24 <= 1
    if whole or (as_long and _is_multiple(shift, WEEK)):
        return other
    if not as_long:
        note = "the windows differ in length, and so in hours or weekdays"
    elif _is_multiple(shift, timedelta(days=1)):
        note = "the windows cover different weekdays"
    else:
        note = "the windows cover different hours of the day"
    return replace(other, notes=(*other.notes, note), weekdays_differ=True)


def _is_multiple(shift: timedelta, unit: timedelta) -> bool:
    """Allowing for the hour of a clock change."""
    rest = shift % unit
    return min(rest, unit - rest) <= timedelta(hours=1) and (shift >= unit - timedelta(hours=1) or not rest)


def _back(moment: datetime, days: int, zone: ZoneInfo) -> datetime:
    """The same time of day that many calendar days before, also across a clock change."""
    wall = moment.astimezone(zone).replace(tzinfo=None) - timedelta(days=days)
    return wall.replace(tzinfo=zone).astimezone(UTC)


EDGES = (ZoneInfo("UTC"), ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago"))
"""UTC, and the zones in which a day begins first and last."""


def depends_on_zone(window: str | None, now: datetime) -> bool:
    """Whether the days of a window, such as ``yesterday``, begin at different instants in different time zones.

    >>> now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    >>> depends_on_zone("yesterday", now), depends_on_zone("7d", now), depends_on_zone(None, now)
    (True, False, False)
    """
    if window is None:
        return False
    try:
        return len({(part.start, part.end) for part in (resolve(window, now, zone) for zone in EDGES)}) > 1
    except InvalidArguments:
        return True


def check_comparison(how: str | None, window: str | None, now: datetime, zone: ZoneInfo | None) -> None:
    """Refuse an invalid window or comparison before any request. ``zone`` None: if it is invalid in every zone.

    Raises:
        InvalidArguments: as ``resolve`` and ``other_window`` do.
    """
    if zone is not None:
        _check_comparison(how, window, now, zone)
        return
    errors = list[InvalidArguments]()
    for edge in EDGES:
        try:
            _check_comparison(how, window, now, edge)
        except InvalidArguments as error:
            errors.append(error)
    if len(errors) == len(EDGES):
        raise errors[0]


def _check_comparison(how: str | None, window: str | None, now: datetime, zone: ZoneInfo) -> None:
    resolved = resolve(window, now, zone) if window else None
    if not how:
        return
    if resolved is not None:
        other_window(resolved, how, now, zone)
    elif _is_window(how, now, zone):
        resolve(how, now, zone, argument="compare_to")
    else:
        _comparison(how)


def _is_window(how: str, now: datetime, zone: ZoneInfo) -> bool:
    """Whether a comparison is a window of its own, rather than one relative to the window."""
    word = bare(how)
    return (
        not word.startswith("previous_")
        and word not in _COMPARISON_ALIASES
        and (is_interval(how) or span_of(word, now, zone) is not None)
    )


def _comparison(how: str) -> str:
    """One of the words for another time."""
    word = _COMPARISON_ALIASES.get(bare(how), bare(how))
    if word not in COMPARISONS:
        nearest_word = nearest(word, COMPARISONS)
        hint = (
            f"did you mean {nearest_word}?"
            if nearest_word
            else "use previous_period, previous_week or an interval 2026-11-01/2026-11-08."
        )
        raise InvalidArguments.at("compare_to", f"{UntrustedText(how, limit=60)} is not a comparison; {hint}")
    return word


def has_a_period_before(window: Window, now: datetime, zone: ZoneInfo) -> bool:
    """Whether the API still keeps the period before."""
    return _is_available(_period_before(window, zone)[0], now)


def _is_available(start: datetime, now: datetime) -> bool:
    return start >= now - LIMIT - MARGIN


def _period_before(window: Window, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Whole calendar days earlier, for a window of a day or more, or from midnight; else its own length earlier."""
    day, span = timedelta(days=1), window.end - window.start
    starts_a_day = window.start.astimezone(zone).time() == time.min
    if not (starts_a_day or span >= day or window.start.astimezone(UTC).time() == time.min):
        return window.start - span, window.end - span
    if not starts_a_day:
        days = -(-span // day)
        return window.start - days * day, window.end - days * day
    walls = [edge.astimezone(zone).replace(tzinfo=None) for edge in (window.start, window.end)]
    days = -(-(walls[1] - walls[0]) // day)
    return _back(window.start, days, zone), _back(window.end, days, zone)


MERGEABLE = ("count", "sum", "avg", "min", "max")
"""Aggregations whose buckets can be merged."""
FEW_ROWS = 2000
"""Up to this many rows are processed in the event loop: less work than a thread costs."""


class Target(Struct, frozen=True):
    """A widget to chart. ``filters``: all its saved filters, its dashboard's included.

    ``project``: its dashboard's, if known. ``window`` None: its saved date range. ``extra``: filters of the request.
    ``matching``: the share of calls that match is charted instead of the calls. ``unreadable``: why its dashboard's
    filters cannot be applied. ``alone``: read without its dashboard, as its baseline must be. ``local_days``: its days
    are those of the user's time zone, merged from hours. ``by_hours``: days are read by the hour and merged, for what
    happens today.
    """

    config: WidgetConfig
    filters: JsonObject
    dashboard: int | None = None
    project: int | None = None
    window: Window | None = None
    extra: JsonObject | None = None
    matching: JsonObject | None = None
    unreadable: str | None = None
    alone: bool = False
    local_days: bool = False
    by_hours: bool = False

    @property
    def problem(self) -> str | None:
        """Why the target cannot be charted; None if it can."""
        return self.unreadable or self.config.problem()

    def goes_beyond(self, now: datetime) -> bool:
        """Whether its window reaches beyond what is saved, so that it is read without its dashboard."""
        bounds, window = time_bounds(self.filters, now), self.window
        if window is None:
            return False
        early = bounds.start is not None and window.start < bounds.start
        return early or (bounds.end is not None and window.end > bounds.end)

    @property
    def has_days_of_hours(self) -> bool:
        """Whether it shows days that can be merged from hours."""
        config = self.config
        return config.chart_type == "bar" and config.period == "day" and config.function in MERGEABLE

    @property
    def calls(self) -> JsonObject:
        """The filter of the calls that it counts, without times."""
        return both(without_time(self.filters), self.extra)

    @property
    def id(self) -> int | None:
        return self.config.id if isinstance(self.config, Widget) else None


class ChartReading(Memoised, frozen=True):
    """The response for one target: a chart, or an error.

    ``beyond``: the saved bounds that the window exceeds. ``alone``: read without its dashboard.
    ``restricted_to_project``: the same, but limited to its dashboard's project. ``hours``: the hourly chart that days
    were merged from; ``offsets``: seconds from UTC where their window begins and ends. ``passing``: the score of a
    pass, in words, of a binary metric. ``all_calls``: of a metric, the calls of the same filter and window over time,
    evaluated or not. ``whole``: the same in the fewest buckets that hold it.
    """

    target: Target
    window: Window
    chart: Chart | None = None
    error: DashboardsError | None = None
    beyond: Bounds | None = None
    alone: bool = False
    restricted_to_project: bool = False
    passing: str | None = None
    notes: tuple[str, ...] = ()
    hours: Chart | None = None
    offsets: tuple[float, float] | None = None
    all_calls: "ChartReading | None" = None
    whole: "tuple[ChartReading, ...]" = ()

    def by_hour(self) -> "ChartReading":
        """The reading by hour, as the API answered it; one for all charts that share the reading."""
        return self.memoise("by hour", self._by_hour)

    def _by_hour(self) -> "ChartReading":
        config = self.target.config.model_copy(update={"time_period": "hour"})
        target = replace(self.target, config=config, local_days=False, by_hours=False)
        return replace(self, target=target, chart=self.hours, hours=None, offsets=None)


def saved(widget: Widget, project: int | None = None) -> Target:
    return Target(widget, widget.effective_filters or widget.filters or {}, widget.dashboard, project)


def unsaved(config: WidgetConfig, dashboard: Dashboard | None) -> Target:
    """An unsaved widget, as if it were on this dashboard."""
    if dashboard is None:
        return Target(config, config.filters or {})
    odd = dashboard.unreadable("filters")
    unreadable = f"of dashboard {dashboard.id}, {odd}" if odd else None
    return Target(
        config, both(dashboard.filters, config.filters), dashboard.id, dashboard.project, unreadable=unreadable
    )


def resolve_targets(
    targets: Iterable[Target],
    window: str | None,
    extra: JsonObject | None,
    now: datetime,
    zone: ZoneInfo,
    *,
    local_days: bool = False,
) -> list[Target]:
    """The targets, each with its window and the filters of the request.

    ``local_days``: chart days of the zone, if they can be merged from hours.

    Raises:
        InvalidArguments: for an invalid window.
    """
    resolved = resolve(window, now, zone) if window else None
    if extra:
        resolved, extra = _time_of(extra, resolved, now)
    return [
        replace(
            target,
            window=resolved or saved_window(time_bounds(target.filters, now), now, zone),
            extra=extra or None,
            local_days=local_days and target.has_days_of_hours,
        )
        for target in targets
    ]


def _time_of(extra: JsonObject, window: Window | None, now: datetime) -> tuple[Window | None, JsonObject]:
    """Move a time range from the request's filters to the window."""
    bounds = time_bounds(extra, now)
    if bounds.start is None and bounds.end is None:
        return window, extra
    if window is not None or bounds.start is None:
        raise InvalidArguments.at(
            "filters", "holds a time range; give the time in `window` instead, as 2026-11-01/2026-11-08."
        )
    return Window(bounds.start, min(bounds.end or now, now), "asked"), without_time(extra)


def are_few(readings: Iterable[ChartReading]) -> bool:
    """Whether their rows are few enough to process in the event loop."""
    return sum(len(reading.chart.rows) for reading in readings if reading.chart) <= FEW_ROWS


class ChartRequest(Request):
    """Arguments that identify a chart."""

    widget_id: WidgetId | None = None
    widget: NewWidget | None = UNSAVED
    dashboard_id: DashboardId | None = Field(default=None, description="of an unsaved widget")
    project_id: ProjectId | None = Field(default=None, description="where no dashboard says it")
    filters: Filter | None = Field(
        default=None,
        description="only these calls: success, duration, agent.id, topic …",
        json_schema_extra={"bare": True},
    )


class RequestedChart(Struct, frozen=True):
    """A chart with all its filters, and its dashboard and project."""

    target: Target
    project: int | None
    dashboard: Dashboard | None

    @property
    def config(self) -> WidgetConfig:
        return self.target.config


async def requested_chart(context: ToolContext, request: ChartRequest, *, charted: bool) -> RequestedChart:
    """Read the chart's filters and project; ``charted``: prefetch names too."""
    read_dashboard = context.lookups.dashboard_with_names if charted else context.lookups.dashboard
    if request.widget_id is not None:
        stored = await context.lookups.widget(request.widget_id)
        number = stored.dashboard
        dashboard = await read_dashboard(number) if number is not None else None
        target = saved(stored, dashboard.project if dashboard else None)
    else:
        config = request.widget.config() if request.widget else WidgetConfig(chart_type="stat")
        number = request.dashboard_id
        dashboard = await read_dashboard(number) if number is not None else None
        target = unsaved(config, dashboard)
    if target.problem is not None:
        raise UnreadableAnswer(target.problem)
    extra, _ = with_missing(request.filters)
    narrowed = replace(target, filters=both(target.filters, extra))
    return RequestedChart(narrowed, dashboard.project if dashboard else None, dashboard)
