"""The setting of an alert: its kind and numbers as a model sends them, and as the API stores them."""

from typing import Literal

from msgspec import Struct, field
from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from cekura_dashboards.api.chart_data import number
from cekura_dashboards.api.errors import InvalidArguments, UnreadableAnswer
from cekura_dashboards.api.filters import (
    Filter,
    both,
    fault,
    filter_warnings,
    has_nested_time,
    with_missing,
    without_time,
)
from cekura_dashboards.api.models import METRIC_VALUE, PLOTTED, Alert, JsonObject, Widget, as_object, metric_family
from cekura_dashboards.arguments.references import AlertId, MetricId, ProjectId, WidgetId, visible_metrics
from cekura_dashboards.context import ToolContext
from cekura_dashboards.stats.alerts import (
    PRESETS,
    AlertSetting,
    Direction,
    FailureAlert,
    Operator,
    ThresholdAlert,
    TrendAlert,
)
from cekura_dashboards.stats.findings import exact
from cekura_dashboards.text import named, plain, word
from cekura_dashboards.tool import Request
from cekura_dashboards.values import replace

AlertKind = Literal["failure", "trend", "threshold"]
Preset = Literal["conservative", "balanced", "aggressive"]
SUB_TYPES: dict[str, AlertKind] = {"normal": "failure", "significant_change": "trend", "threshold": "threshold"}
"""Kinds by their names in the API; it has two more, for insights, which do not depend on scores of calls."""
USUAL_WINDOW = 50
"""The default for a threshold, as documented."""
MOST_WINDOW = 10_000
NUMBERS: dict[AlertKind, tuple[str, ...]] = {
    "failure": (),
    "trend": ("preset", "window_size", "std_multiplier", "ewma_alpha", "direction"),
    "threshold": ("window_size", "operator", "value", "high", "min_breaches"),
}
"""The arguments of each kind."""
OF_FAMILIES: dict[AlertKind, frozenset[str]] = {
    "failure": frozenset({"binary"}),
    "trend": frozenset({"binary", "numeric", "continuous"}),
    "threshold": frozenset({"numeric", "continuous"}),
}
"""The families of metrics that each kind takes, as documented."""


class AlertRequest(Request):
    """What to watch, and what for."""

    alert_id: AlertId | None = Field(default=None, description="an existing alert, with the changes below")
    widget_id: WidgetId | None = Field(default=None, description="a chart of a metric; its filters apply")
    metric: MetricId | None = Field(default=None, description="or a metric")
    project_id: ProjectId | None = None
    filters: Filter | None = Field(
        default=None, json_schema_extra={"bare": True}, description="only these calls, a condition"
    )
    kind: AlertKind | None = Field(
        default=None, description="failure: each failing call; trend: moves from its past; threshold: crosses a value"
    )
    preset: Preset | None = Field(default=None, description="of a trend; default: balanced")
    window_size: int | None = Field(default=None, ge=1, le=MOST_WINDOW, description="in calls")
    std_multiplier: float | None = Field(default=None, ge=0)
    ewma_alpha: float | None = Field(default=None, ge=0, le=1)
    direction: Direction | None = None
    operator: Operator | None = None
    value: float | None = Field(default=None, description="for outside, the lower one")
    high: float | None = None
    min_breaches: int | None = Field(default=None, ge=1, description="breaches needed in a window")

    @property
    def is_complete(self) -> bool:
        """Whether it identifies what to watch."""
        return self.alert_id is not None

    @model_validator(mode="after")
    def _complete(self) -> "AlertRequest":
        others = [name for name in ("widget_id", "metric") if getattr(self, name) is not None]
        if self.alert_id is not None and others:
            raise fault(others[0], "cannot be changed: an alert keeps its metric; leave it out, or alert_id.")
        if len(others) > 1:
            raise fault("metric", "is that of the chart already; give widget_id or metric.")
        if not self.is_complete and not others:
            raise fault(
                "widget_id",
                "is missing; give a chart of a metric, or metric with its id or name; look_up metrics lists them.",
            )
        return self

    def changed(self, alert: Alert | None) -> AlertSetting | None:
        """The setting of an existing alert with the changes, or of a new one; None for an unreadable one.

        Raises:
            InvalidArguments: for numbers of another kind, or missing ones.
        """
        stored = stored_setting(alert) if alert is not None else None
        if stored is None and alert is not None and self.kind is None and not self.given():
            return None
        try:
            return self.setting(stored)
        except PydanticCustomError as error:
            context = error.context or {}
            raise InvalidArguments.at(str(context.get("at")), str(context.get("message"))) from None

    def given(self) -> JsonObject:
        """The given numbers; 0 counts as absent for numbers that must be above 0."""
        names = dict.fromkeys(name for kind in NUMBERS.values() for name in kind)
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        return {n: v for n, v in given.items() if not (n in {"std_multiplier", "ewma_alpha"} and v == 0)}

    def setting(self, stored: AlertSetting | None) -> AlertSetting:
        """The setting; numbers that are not given come from the stored alert, the preset or the defaults.

        Raises:
            PydanticCustomError: for numbers of another kind, or missing ones.
        """
        kind = self.kind or (kind_of(stored) if stored is not None else "trend" if self._has_trend() else None)
        if kind is None:
            raise fault("kind", "is missing; use failure, trend or threshold.")
        given = self.given()
        blank = {name for name in ("value", "high") if given.get(name) == 0}
        if wrong := [name for name in given if name not in {*NUMBERS[kind], *blank}]:
            of = next(other for other, names in NUMBERS.items() if wrong[0] in names)
            raise fault(wrong[0], f"belongs to kind {of}, not {kind}; leave it out, or change the kind.")
        if kind == "failure":
            return FailureAlert()
        if kind == "trend":
            return self._trend(stored if isinstance(stored, TrendAlert) and self.preset is None else None)
        return self._threshold(stored if isinstance(stored, ThresholdAlert) else None)

    def _has_trend(self) -> bool:
        return any(name in self.given() for name in ("preset", "std_multiplier", "ewma_alpha", "direction"))

    def _trend(self, stored: TrendAlert | None) -> TrendAlert:
        base, given = stored or PRESETS[self.preset or "balanced"], self.given()
        return TrendAlert(
            window=given.get("window_size", base.window),
            multiplier=given.get("std_multiplier", base.multiplier),
            weight=given.get("ewma_alpha", base.weight),
            direction=given.get("direction", base.direction),
        )

    def _threshold(self, stored: ThresholdAlert | None) -> ThresholdAlert:
        operator, given = self.operator or (stored.operator if stored else None), self.given()
        if operator is None:
            raise fault("operator", "is missing; use gt, lt or outside, with value.")
        low = given.get("value", stored.low if stored else None)
        if low is None:
            raise fault("value", f"is missing; what the score must be {'below' if operator == 'lt' else 'above'}.")
        high = given.get("high", stored.high if stored else None)
        if operator == "outside" and (high is None or high < low):
            raise fault("high", "must be the upper value of outside, at least value.")
        size = given.get("window_size", stored.window if stored else USUAL_WINDOW)
        least = given.get("min_breaches", stored.min_breaches if stored else 1)
        if least > size:
            raise fault("min_breaches", f"cannot be more than the {size} calls of window_size.")
        return ThresholdAlert(operator, low, high if operator == "outside" else None, least, size)


METRICS_ONLY = (
    "alerts watch metrics only (look_up metrics). For other charts: find_changes with since, or an expectation that "
    "cekura-dashboards assert checks."
)


class AlertSubject(Struct, frozen=True, kw_only=True):
    """What an alert watches. ``filters``: without times; ``eval_type``: None if unknown.

    ``alert``: the stored one, if any; ``title``: the name of the chart, or of the metric.
    """

    metric: int
    project: int
    filters: JsonObject
    title: str | None = None
    metric_name: str | None = None
    eval_type: str | None = None
    alert: Alert | None = None
    warnings: list[str] = field(default_factory=list[str])


async def subject_of(context: ToolContext, request: AlertRequest, alert: Alert | None) -> AlertSubject:
    """The metric, calls and project of a request. ``alert``: the stored one that it names, if any.

    Raises:
        InvalidArguments: for a chart without a metric, or an unknown metric.
    """
    extra, warnings = with_missing(request.filters)
    widget = None
    if alert is not None:
        subject = _of_alert(alert, extra)
    elif request.widget_id is not None:
        widget = await context.lookups.widget(request.widget_id)
        subject = await _of_widget(context, widget, extra)
    else:
        subject = await _of_metric(context, request, extra)
    metrics = {metric.id: metric for metric in await context.lookups.metrics(subject.project)}
    known = metrics.get(subject.metric)
    if known is None and request.metric is not None:
        text = f"no metric {subject.metric} in project {subject.project}; look_up metrics lists them."
        raise InvalidArguments.at("metric", text)
    title = (widget.name if widget else None) or (known.name if known else None)
    if has_nested_time(subject.filters):
        warnings.append("filters: a time condition inside or/same_row stays in the alert")
    return replace(
        subject,
        title=title,
        metric_name=known.name if known else None,
        eval_type=known.eval_type if known else None,
        warnings=[*warnings, *filter_warnings(extra)],
    )


def _of_alert(alert: Alert, extra: JsonObject | None) -> AlertSubject:
    if alert.source_id is None or alert.project is None:
        raise UnreadableAnswer(f"alert {alert.id} names no metric or project")
    if (odd := alert.unreadable("source")) is not None:
        raise UnreadableAnswer(f"alert {alert.id}: {odd}")
    filters = extra or as_object((alert.source or {}).get("filters")) or {}
    return AlertSubject(metric=alert.source_id, project=alert.project, filters=without_time(filters), alert=alert)


async def _of_widget(context: ToolContext, widget: Widget, extra: JsonObject | None) -> AlertSubject:
    if (problem := widget.problem()) is not None:
        raise UnreadableAnswer(problem)
    if widget.field != METRIC_VALUE or widget.metric is None:
        plots = f"plots {word(widget.field, PLOTTED)}" if widget.field else "plots no single measure"
        raise InvalidArguments.at("widget_id", f"{widget.id} {named(widget.name)} {plots}; {METRICS_ONLY}")
    project = None
    if widget.dashboard is not None:
        project = (await context.lookups.dashboard_with_names(widget.dashboard)).project
    if project is None:
        project = await context.lookups.only_project(None)
    filters = both(without_time(widget.effective_filters or widget.filters), extra)
    return AlertSubject(metric=widget.metric, project=project, filters=filters)


async def _of_metric(context: ToolContext, request: AlertRequest, extra: JsonObject | None) -> AlertSubject:
    number = request.metric or 0
    project = request.project_id or context.settings.project_id
    if project is None:
        metrics = await visible_metrics(context, None)
        project = next((metric.project for metric in metrics if metric.id == number), None)
    if project is None:
        project = await context.lookups.only_project(None)
    return AlertSubject(metric=number, project=project, filters=without_time(extra))


ONE_WAY = "direction: the API's guide offers it for binary metrics alone; on others it may fire both ways"


def direction_warnings(setting: AlertSetting, eval_type: str | None) -> list[str]:
    one_way = isinstance(setting, TrendAlert) and setting.direction != "both"
    return [ONE_WAY] if one_way and metric_family(eval_type) != "binary" else []


def check_kind(setting: AlertSetting, eval_type: str | None) -> None:
    """Refuse a kind of alert that the API does not offer for metrics of this type.

    Raises:
        InvalidArguments: with the kinds that it offers.
    """
    kind, family = kind_of(setting), metric_family(eval_type)
    if family is None or family in OF_FAMILIES[kind]:
        return
    usable = [name for name, families in OF_FAMILIES.items() if family in families]
    hint = f"use {' or '.join(usable)}" if usable else "the API has no alert on such values"
    raise InvalidArguments.at("kind", f"{kind} is not for a metric of type {family}; {hint}.")


def kind_of(setting: AlertSetting) -> AlertKind:
    return (
        "failure" if isinstance(setting, FailureAlert) else "trend" if isinstance(setting, TrendAlert) else "threshold"
    )


def stored_setting(alert: Alert) -> AlertSetting | None:
    """The setting of a stored alert; None for kinds that do not use scores, and for unreadable numbers."""
    source, threshold = alert.source or {}, alert.threshold or {}
    size = source.get("window_size")
    window = size if isinstance(size, int) and 0 < size <= MOST_WINDOW else None
    match SUB_TYPES.get(alert.kind):
        case "failure":
            return FailureAlert()
        case "trend":
            multiplier, weight = number(threshold.get("std_multiplier")), number(threshold.get("ewma_alpha"))
            directions: dict[object, Direction] = {"increase": "increase", "decrease": "decrease"}
            if window is None or not multiplier or not weight or not 0 < weight <= 1 or multiplier < 0:
                return None
            return TrendAlert(window, multiplier, weight, directions.get(str(threshold.get("direction")), "both"))
        case "threshold":
            return _stored_threshold(threshold, window or USUAL_WINDOW)
        case _:
            return None


def _stored_threshold(threshold: JsonObject, window: int) -> ThresholdAlert | None:
    operators: dict[object, Operator] = {"gt": "gt", "lt": "lt", "outside": "outside"}
    operator, value = operators.get(str(threshold.get("operator"))), threshold.get("value")
    edges = as_object(value) or {"low": value, "high": None}
    low, high, least = number(edges.get("low")), number(edges.get("high")), threshold.get("min_breaches")
    if operator is None or low is None or (operator == "outside") is not (high is not None):
        return None
    return ThresholdAlert(operator, low, high, least if isinstance(least, int) and 0 < least <= window else 1, window)


def as_stored(setting: AlertSetting) -> tuple[JsonObject, JsonObject]:
    """The fields ``source``, without filters, and ``threshold``, as the API expects."""
    match setting:
        case FailureAlert():
            return {"sub_type": "normal"}, {}
        case TrendAlert():
            source: JsonObject = {"sub_type": "significant_change", "window_size": setting.window}
            numbers: JsonObject = {"std_multiplier": setting.multiplier, "ewma_alpha": setting.weight}
            return source, {**numbers, "direction": "" if setting.direction == "both" else setting.direction}
        case ThresholdAlert():
            low, high = exact(setting.low), setting.high
            value = low if high is None else {"low": low, "high": exact(high)}
            limits: JsonObject = {"operator": setting.operator, "value": value, "min_breaches": setting.min_breaches}
            return {"sub_type": "threshold", "window_size": setting.window}, limits


def preset_of(setting: TrendAlert) -> str | None:
    """The name of the preset with these numbers."""
    return next((name for name, preset in PRESETS.items() if replace(setting, direction="both") == preset), None)


def setting_words(setting: AlertSetting) -> str:
    """A setting in words.

    >>> setting_words(PRESETS["balanced"]), setting_words(ThresholdAlert("gt", 500, min_breaches=3))
    ('trend balanced (window 50, 2 deviations, weight 0.3)', 'threshold: above 500, 3 of the last 50 calls')
    >>> setting_words(FailureAlert())
    'failure: each call that fails'
    """
    match setting:
        case FailureAlert():
            return "failure: each call that fails"
        case TrendAlert():
            name = preset_of(setting)
            ways = {"both": "", "increase": ", increase only", "decrease": ", decrease only"}[setting.direction]
            numbers = f"window {setting.window}, {setting.multiplier:g} deviations, weight {setting.weight:g}"
            return f"trend{f' {name}' if name else ''} ({numbers}{ways})"
        case ThresholdAlert():
            low, high = plain(exact(setting.low)), plain(exact(setting.high or 0.0))
            limits = {"gt": f"above {low}", "lt": f"below {low}", "outside": f"outside {low} to {high}"}
            return f"threshold: {limits[setting.operator]}, {setting.min_breaches} of the last {setting.window} calls"


def alert_words(alert: Alert) -> str:
    """A stored alert in a few words: id, name, kind, on or off.

    >>> alert_words(Alert(id=7, name="Slow", enabled=False, source={"sub_type": "normal"}))
    'alert 7 "Slow" (failure: each call that fails; off)'
    """
    return f"alert {alert.id} {named(alert.name)} ({setting_text(alert)}{'; off' if alert.enabled is False else ''})"


def setting_text(alert: Alert) -> str:
    """The setting of a stored alert in words."""
    setting = stored_setting(alert)
    return setting_words(setting) if setting else named(alert.kind) if alert.kind else "of unknown kind"
