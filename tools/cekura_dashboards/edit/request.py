"""Arguments of the writing tools."""

from typing import Literal

from pydantic import Field, model_validator

from cekura_dashboards.api.fields import ChartType
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import JsonObject
from cekura_dashboards.read.request import WidgetFields

Clearable = Literal[
    "name",
    "metric",
    "data_type",
    "time_period",
    "aggregation_function",
    "group_by",
    "filters",
    "metadata",
    "field",
]
CLEAR = Field(
    None,
    description="fields to empty; null in a field is ignored. With metadata here too, it is replaced, not merged",
)
PLAN_ID = Field(
    default=None, description="from a dry run, a stopped delete or an undo; refused if anything moved since"
)


class WidgetChanges(WidgetFields):
    """New values. `filters` and `group_by` replace the whole; `metadata` merges one level deep."""

    chart_type: ChartType | None = None


class WidgetUpdate(WidgetChanges):
    """A widget's id and its new values."""

    id: int
    clear: list[Clearable] | None = CLEAR

    @model_validator(mode="after")
    def _not_both(self) -> "WidgetUpdate":
        check_clear(self, self.clear)
        return self


def check_clear(fields: WidgetFields, clear: list[Clearable] | None) -> None:
    """Refuse to set and empty the same field; metadata may be both, which replaces it whole."""
    for name in clear or []:
        if name != "metadata" and name in fields.given():
            raise fault("clear", f"names {name}, which is also given a new value; keep one of both.")


def ignored_nulls(fields: WidgetFields | None, path: str) -> list[str]:
    """Notes on fields that were sent as null, which changes nothing."""
    if fields is None:
        return []
    names = [name for name in fields.model_fields_set if getattr(fields, name) is None and name != "clear"]
    if not names:
        return []
    return [f"{path}: null was ignored for {', '.join(sorted(names))}; clear empties a field"]


def sent_fields(fields: WidgetFields | None, clear: list[Clearable] | None, stored: JsonObject) -> JsonObject:
    """What to send so that a stored widget becomes what was asked: cleared, replaced and merged."""
    sent: JsonObject = {name: "" if name == "field" else None for name in clear or []}
    given = fields.given() if fields else {}
    if "metadata" in given and "metadata" not in sent and isinstance(stored.get("metadata"), dict):
        given["metadata"] = {**stored["metadata"], **given["metadata"]}
    return sent | given
