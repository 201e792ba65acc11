"""Arguments that several tools share."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from cekura_dashboards.api.errors import UnknownField
from cekura_dashboards.api.filters import Filter, fault
from cekura_dashboards.api.models import (
    FILTERED,
    PLOTTED,
    WRITABLE,
    Aggregation,
    ChartType,
    DataType,
    JsonObject,
    TimePeriod,
    WidgetConfig,
    filter_field,
    is_metadata,
    no_such_measure,
    plotted_type,
)
from cekura_dashboards.arguments.reader import PLANNED, is_null_text
from cekura_dashboards.arguments.references import MetricId
from cekura_dashboards.text import UntrustedText, did_you_mean
from cekura_dashboards.tool import Request

_WINDOWS = "24h, 7d, today, last_week, since monday, 2026-11-01/2026-11-07 …"
WINDOW = Field(None, description=f"{_WINDOWS}; default: the saved range")
RECENT_WINDOW = Field(None, description=f"{_WINDOWS}; default: 7d")
COMPARE_TO = Field(default=None, description="previous_period, previous_week or a window")
COMPARE_FILTERS = Field(default=None, description="or compare with other calls: a condition")
PROFILE = Field(default=None, description="or fold the measure by hour or weekday")
LOCAL = Field(default=None, description="days of time_zone, not UTC")
ZONE = Field(default=None, description="e.g. America/Los_Angeles")
EDITS = Field(default=None, description="what people edited just before; full: with the text")
EditAmount = Literal["brief", "full"]
ProfileBy = Literal["hour_of_day", "weekday", "hour_of_week"]
UNSAVED: Any = Field(
    default=None,
    description="or one that is not saved",
    json_schema_extra={"brief": True},
)
POINTS = Field(default=None, ge=0, le=60, description="most buckets in the series; 0: facts only")
TABLE = Field(default=None, description="all data as rows")
FROM_ROW = Field(default=None, ge=1)
MAX_NAME = 255


def _not_null(text: str, info: ValidationInfo) -> str:
    """Refuse ``null``, which means no name; a call with a plan may restore such a name."""
    context: JsonObject = info.context or {}
    if is_null_text(text) and not context.get(PLANNED):
        raise fault("", f"{UntrustedText(text)} counts as no value; give another name or omit it.")
    return text


NewName = Annotated[str, AfterValidator(_not_null)]


def one_comparison(to: str | None, filters: Filter | None) -> None:
    """Refuse a comparison with another time and other calls at once."""
    if to and filters:
        raise fault("compare_filters", "and compare_to exclude each other; give only one.")


def check_rows(table: str | None, from_row: int | None) -> None:
    """Refuse a later row if no table was requested; strict clients fill in 1."""
    if from_row and from_row > 1 and not table:
        raise fault("from_row", "is a row of a table; give table too: text or csv.")


class Clocked(Request):
    """Arguments on days and hours: profile, local days and time zone."""

    profile: ProfileBy | None = PROFILE
    by: Literal["local_day"] | None = LOCAL
    time_zone: str | None = ZONE


def check_profile(request: Clocked, **others: object) -> None:
    """Refuse a profile together with a comparison or local days."""
    name = next((name for name, value in others.items() if value), None)
    if request.profile and name:
        raise fault(name, "and profile exclude each other; give only one.")


class GroupBy(Request):
    """By a field, or by buckets of time."""

    type: Literal["field", "bucket"]
    field: str | None = Field(default=None, description="agent.id, topic, metadata.KEY …")
    interval: int | None = Field(default=None, ge=1, description="of a bucket, in ms")

    @model_validator(mode="after")
    def _complete(self) -> "GroupBy":
        if self.type == "field" and not self.field:
            raise fault("field", "is missing; give one such as agent.id or metadata.KEY.")
        if self.type == "field" and filter_field(self.field or "") is None and self.field not in PLOTTED:
            hint = did_you_mean(self.field or "", [*FILTERED, "metadata.KEY"], limit=20)
            unknown = UnknownField(self.field or "", "group")
            raise fault("field", f"{UntrustedText(self.field or '')} cannot be grouped by; {hint}", unknown)
        if self.type == "bucket" and not self.interval:
            raise fault("interval", "is missing; give milliseconds, 3600000 for an hour.")
        return self


class WidgetFields(Request):
    """The fields of a widget that can be set, except `chart_type`, which only a new one requires."""

    name: NewName | None = Field(default=None, max_length=MAX_NAME)
    field: str | None = Field(
        None,
        max_length=MAX_NAME,
        description="agent_id, success, duration, topic, metric_evaluations.value, metadata.KEY …",
    )
    metric: MetricId | None = Field(default=None, description="of metric_evaluations.value")
    data_type: DataType | None = Field(default=None, json_schema_extra={"hidden": True})
    time_period: TimePeriod | None = None
    aggregation_function: Aggregation | None = None
    group_by: GroupBy | None = None
    filters: Filter | None = None
    metadata: dict[str, Any] | None = Field(default=None, json_schema_extra={"hidden": True})

    @model_validator(mode="after")
    def _known_field(self) -> "WidgetFields":
        if self.field and plotted_type(self.field) is None:
            hint = no_such_measure(self.field) or did_you_mean(self.field, [*PLOTTED, "metadata.KEY"])
            if is_metadata(f"metadata.{self.field.rpartition('.')[2]}") and self.field.startswith("metadata."):
                hint = "only top-level metadata keys can be plotted."
            unknown = UnknownField(self.field, "plot")
            raise fault("field", f"{UntrustedText(self.field)} cannot be plotted; {hint}", unknown)
        return self

    def values(self) -> JsonObject:
        """The given fields that are not null, as the API expects them."""
        values_set: JsonObject = {}
        for name in WRITABLE:
            value = getattr(self, name, None)
            if value is None:
                continue
            if isinstance(value, Filter):
                value = value.to_json()
            elif isinstance(value, GroupBy):
                value = value.model_dump(exclude_none=True)
            values_set[name] = value
        return values_set


class NewWidget(WidgetFields):
    """A widget to preview or create."""

    chart_type: ChartType = Field(
        description="line, pie: field; bar: field, aggregation_function, time_period; stat: none of them"
    )

    def config(self) -> WidgetConfig:
        return WidgetConfig.model_validate(self.values())
