"""Edits of alerts: planning and sending them."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from pydantic import ConfigDict, Field, model_validator

from cekura_dashboards.api.client import CekuraClient
from cekura_dashboards.api.errors import InvalidArguments, UnreadableAnswer
from cekura_dashboards.api.filters import fault
from cekura_dashboards.api.models import ALERT_FIELDS, Alert, JsonObject, as_object, or_none, same
from cekura_dashboards.arguments.alert import (
    AlertRequest,
    AlertSubject,
    alert_words,
    as_stored,
    check_kind,
    direction_warnings,
    setting_words,
    stored_setting,
    subject_of,
)
from cekura_dashboards.arguments.widget import MAX_NAME, NewName
from cekura_dashboards.context import ToolContext
from cekura_dashboards.edits.changes import EditOperation, before_after, both_as_json
from cekura_dashboards.edits.plan import Plan, checked
from cekura_dashboards.edits.plan_id import Covered, signer
from cekura_dashboards.edits.receipt import refuse_too_large, undo_of
from cekura_dashboards.edits.request import PlannedRequest
from cekura_dashboards.edits.send import ReadBack, WriteResult, write_or_read_back
from cekura_dashboards.stats.alerts import AlertSetting
from cekura_dashboards.text import named, untrusted

SAVE_ALERT = "save_alert"
CHANGEABLE = ("name", "enabled", "source", "threshold", "notifications")
NEEDED = {"name", "project", "source_id"}
"""Fields that every alert needs."""
NO_ROUTING = (
    "no notifications are set: it goes to every Slack workspace of the project, if there is one; else it is silent "
    "(the API's documents disagree). Ask the user for slack_workspace"
)
FORGETS = "an undo creates it again under a new id; the API counts its firings from 0"
MAX_ALIKE = 3


def _as_previewed(schema: JsonObject) -> None:
    """Marks arguments that preview_alert describes already."""
    for name in AlertRequest.model_fields:
        schema["properties"][name].pop("description", None)
        schema["properties"][name]["known"] = True


class SaveAlertRequest(AlertRequest, PlannedRequest):
    model_config = ConfigDict(json_schema_extra=_as_previewed)

    name: NewName | None = Field(default=None, max_length=MAX_NAME, description="default: by the chart")
    action: Literal["on", "off", "delete"] | None = Field(default=None, description="switch it, or delete it")
    slack_workspace: int | None = Field(default=None, ge=1, description="id; ask the user where it goes")
    slack_channel: str | None = Field(default=None, max_length=MAX_NAME)
    restore: dict[str, Any] | None = Field(default=None, json_schema_extra={"hidden": True}, description="of an undo")
    old_id: int | None = Field(default=None, json_schema_extra={"hidden": True}, description="of an undo")

    @property
    def is_complete(self) -> bool:
        return self.alert_id is not None or self.restore is not None

    @model_validator(mode="after")
    def _sensible(self) -> "SaveAlertRequest":
        if self.slack_channel is not None and self.slack_workspace is None:
            raise fault("slack_workspace", "is missing; a channel belongs to a workspace: ask the user for its id.")
        if self.name is not None and not self.name.strip() and self.restore is None:
            raise fault("name", "is empty; give the alert a name.")
        if self.alert_id is None and self.action == "delete":
            raise fault("alert_id", "is missing; which alert? look_up alerts lists them.")
        changes = (self.given(), self.filters, self.kind, self.name, self.action, self.slack_workspace, self.restore)
        if self.alert_id is not None and not any(changes):
            raise fault("alert_id", "names an alert, but nothing to change; give new values, or action.")
        if self.restore is not None and self.alert_id is None and not {*self.restore} >= NEEDED:
            raise fault("restore", f"lacks {', '.join(sorted(NEEDED - {*self.restore}))}.")
        if self.action == "delete" and any((*changes[:4], self.slack_workspace)):
            raise fault("action", "delete takes no new values.")
        return self

    def restores(self) -> str | None:
        return "restore" if self.restore is not None else "old_id" if self.old_id is not None else None


class AlertEdit(Struct, frozen=True):
    """One operation. ``fields``: to send, empty for a delete; ``before``: the alert, None for a create.

    ``existing_ids``: the ids of the project's alerts; ``old_id``: of the deleted one that this restores; ``alike``: the
    alerts that remain with the name and metric of a deleted one.
    """

    before: Alert | None
    fields: JsonObject
    project: int
    deletes: bool = False
    existing_ids: tuple[int, ...] = ()
    old_id: int | None = None
    alike: Covered = {}

    @property
    def what(self) -> str:
        if self.before is None:
            return "create of the alert"
        return f"{'delete' if self.deletes else 'update'} of alert {self.before.id}"


async def plan_alert(context: ToolContext, request: SaveAlertRequest) -> Plan[AlertEdit]:
    ids = request.ids(signer(context))
    if request.alert_id is None:
        return await _plan_create(context, request)
    alert = await context.api.alert(ids.now("alert", request.alert_id))
    if request.action == "delete":
        return await _plan_delete(context, request, alert)
    if request.restore is not None:
        return _plan_update(context, request, alert, request.restore, [])
    setting = request.changed(alert)
    fields: JsonObject = {"name": request.name} if request.name else {}
    fields |= {"enabled": request.action == "on"} if request.action else {}
    warnings = list[str]()
    if request.kind or request.given() or request.filters:
        subject = await subject_of(context, request, alert)
        warnings = subject.warnings
        if setting is not None and setting != stored_setting(alert):
            check_kind(setting, subject.eval_type)
            warnings = [*warnings, *direction_warnings(setting, subject.eval_type)]
            fields["source"], fields["threshold"] = as_stored(setting)
        if request.filters:
            fields["source"] = {**fields.get("source", {}), "filters": subject.filters or None}
    fields |= _routing(request)
    is_silent = not _filled({**(alert.notifications or {}), **fields.get("notifications", {})})
    if is_silent and fields.get("enabled", alert.enabled) is not False:
        warnings = [*warnings, NO_ROUTING]
    return _plan_update(context, request, alert, fields, warnings)


def _filled(value: Any) -> Any:
    """An object without empty keys, because a removed key may remain as null."""
    parts = as_object(value)
    return value if parts is None else {name: part for name, part in parts.items() if or_none(part) is not None}


def _routing(request: SaveAlertRequest) -> JsonObject:
    if request.slack_workspace is None:
        return {}
    channel = {"channel_id": request.slack_channel} if request.slack_channel else {}
    return {"notifications": {"slack": {"workspace_id": request.slack_workspace, **channel}}}


async def _plan_create(context: ToolContext, request: SaveAlertRequest) -> Plan[AlertEdit]:
    if request.restore is not None:
        fields, warnings = {**request.restore}, list[str]()
    else:
        fields, warnings = await _new_fields(context, request)
    project = fields["project"]
    alerts = await context.lookups.alerts(project)
    if request.restore is None:
        warnings = [*_alike(alerts, fields), *warnings]
    edit = AlertEdit(None, fields, project, existing_ids=tuple(alert.id for alert in alerts), old_id=request.old_id)
    plan = Plan(
        work=edit,
        verb="Create",
        about=f"alert {named(fields.get('name'))} on metric {fields['source_id']}, project {project}",
        operations=request.operations(SAVE_ALERT),
        covered=covered_like(alerts, fields),
        changes=[_operation("create", None, {}, fields)],
        warnings=warnings,
    )
    return checked(context, plan, request)


async def _new_fields(context: ToolContext, request: SaveAlertRequest) -> tuple[JsonObject, list[str]]:
    subject = await subject_of(context, request, None)
    setting = request.changed(None)
    if setting is None:
        raise InvalidArguments.at("kind", "is missing; use failure, trend or threshold.")
    check_kind(setting, subject.eval_type)
    source, threshold = as_stored(setting)
    fields: JsonObject = {
        "name": request.name or _name(subject, setting),
        "enabled": request.action != "off",
        "project": subject.project,
        "source_id": subject.metric,
        "source": {**source, **({"filters": subject.filters} if subject.filters else {})},
        "threshold": threshold,
        **_routing(request),
    }
    one_way = direction_warnings(setting, subject.eval_type)
    return fields, [*one_way, *subject.warnings, *([] if request.slack_workspace else [NO_ROUTING])]


def _name(subject: AlertSubject, setting: AlertSetting) -> str:
    title = subject.title or f"Metric {subject.metric}"
    return f"{title}: {setting_words(setting).partition(' (')[0]}"[:MAX_NAME]


def _alike(alerts: Sequence[Alert], fields: JsonObject) -> list[str]:
    """Notes on alerts that already watch the same metric, and whether one is identical."""
    others = [alert for alert in alerts if alert.source_id == fields["source_id"]]
    texts = list[str]()
    for alert in others[:MAX_ALIKE]:
        is_same = all(same(_filled(alert.stored(name)), _filled(fields.get(name))) for name in ("source", "threshold"))
        texts.append(f"there is {alert_words(alert)} on this metric already{', a duplicate' if is_same else ''}")
    more = len(others) - MAX_ALIKE
    return [*texts, *([f"{more} more alerts watch this metric"] if more > 0 else [])]


def _plan_update(
    context: ToolContext, request: SaveAlertRequest, alert: Alert, requested: JsonObject, warnings: list[str]
) -> Plan[AlertEdit]:
    fields = {name: value for name, value in requested.items() if _differs(alert.stored(name), value)}
    way = undo_of(SaveAlertRequest, undo_update_arguments(alert, fields))
    refuse_too_large(way.arguments)
    after = {**alert.fields(), **{name: _merged(alert.stored(name), value) for name, value in fields.items()}}
    verbs = {"on": "Switch on", "off": "Switch off"}
    plan = Plan(
        work=AlertEdit(alert, fields, alert.project or 0),
        verb=verbs.get(request.action or "", "Change"),
        about=f"alert {alert.id} {named(alert.name)}",
        operations=request.operations(SAVE_ALERT),
        covered=covered_alert(alert),
        changes=[_operation("update", alert, alert.fields(), after)] if fields else [],
        warnings=[*warnings, *(way.warnings if fields else [])],
        stamps=[alert.updated_at],
    )
    return checked(context, plan, request)


async def _plan_delete(context: ToolContext, request: SaveAlertRequest, alert: Alert) -> Plan[AlertEdit]:
    way = undo_of(SaveAlertRequest, undo_delete_arguments(alert))
    refuse_too_large(way.arguments)
    others = [other for other in await context.lookups.alerts(alert.project or 0) if other.id != alert.id]
    plan = Plan(
        work=AlertEdit(alert, {}, alert.project or 0, deletes=True, alike=covered_like(others, alert.fields())),
        verb="Delete",
        about=f"alert {alert.id} {named(alert.name)}",
        operations=request.operations(SAVE_ALERT),
        covered=covered_alert(alert),
        changes=[_operation("delete", alert, alert.fields(), {})],
        warnings=[FORGETS, *way.warnings],
        stamps=[alert.updated_at],
    )
    return checked(context, plan, request)


def _operation(
    op: Literal["create", "update", "delete"], alert: Alert | None, before: JsonObject, after: JsonObject
) -> EditOperation:
    name = after.get("name") if alert is None else alert.name
    return EditOperation(
        op=op, kind="alert", id=alert.id if alert else None, name=untrusted(name),
        fields=before_after(before, after, ALERT_FIELDS),
    )  # fmt: skip


def _merged(stored: Any, new: Any) -> Any:
    """The stored object after the API has merged the new one, key by key."""
    old, changes = as_object(stored), as_object(new)
    return new if old is None or changes is None else {**old, **changes}


def _differs(stored: Any, new: Any) -> bool:
    changes = as_object(new)
    if changes is None:
        return not same(stored, new)
    return any(not same((as_object(stored) or {}).get(name), value) for name, value in changes.items())


def undo_update_arguments(before: Alert, sent: JsonObject) -> JsonObject:
    """The call that restores each sent field, and in objects each sent key.

    A direction that was absent or null is restored as the empty text, which means the same and is accepted.
    """
    back: JsonObject = {}
    for name, value in sent.items():
        old, new = as_object(before.stored(name)) or {}, as_object(value)
        if new is None:
            back[name] = before.stored(name)
        else:
            back[name] = {key: (old.get(key) or "") if key == "direction" else old.get(key) for key in new}
    return {"alert_id": before.id, "restore": back}


def undo_delete_arguments(before: Alert) -> JsonObject:
    """The call that creates the alert again, without nulls, which equal absent keys and which the API may refuse."""
    fields = {name: _without_nulls(value) for name, value in before.fields().items() if value is not None}
    return {"restore": fields, "old_id": before.id}


def _without_nulls(value: Any) -> Any:
    parts = as_object(value)
    return value if parts is None else {name: part for name, part in parts.items() if part is not None}


def covered_alert(alert: Alert) -> Covered:
    return {f"alert {alert.id}": {name: alert.stored(name) for name in ALERT_FIELDS}}


def covered_like(alerts: Sequence[Alert], fields: Mapping[str, Any]) -> Covered:
    """The alerts with this name on this metric: one more means that it was already created."""
    alike = [a.id for a in alerts if same(a.name, fields.get("name")) and a.source_id == fields.get("source_id")]
    return {f"alerts like it on metric {fields.get('source_id')}": {"alerts": sorted(alike)}}


def alert_operation(edit: AlertEdit, stored: Alert | None) -> EditOperation:
    """The operation as a receipt lists it."""
    if stored is None:
        done = _operation("delete", edit.before, {}, {})
        return done.model_copy(update={"fields": None})
    before = edit.before.fields() if edit.before else {}
    op: Literal["create", "update"] = "update" if edit.before else "create"
    return _operation(op, stored, before, stored.fields()).model_copy(update={"name": untrusted(stored.name)})


def alert_differences(fields: JsonObject, stored: Alert) -> list[str]:
    """Where the stored state differs from the request; in objects, only the sent keys are compared."""
    texts = list[str]()
    for name, value in fields.items():
        new, now = as_object(value), as_object(stored.stored(name)) or {}
        pairs = {name: (value, stored.stored(name))}
        if new is not None:
            pairs = {f"{name}.{key}": (part, now.get(key)) for key, part in new.items()}
        for path, (sent, kept) in pairs.items():
            if not same(sent, kept):
                requested_value, stored_value = both_as_json(sent, kept)
                texts.append(f"alert {stored.id} {path}: sent {requested_value}, stored {stored_value}")
    return texts


async def send_alert(context: ToolContext, edit: AlertEdit) -> WriteResult[Alert | None]:
    """Carry out an edit, and return the stored alert; None after a delete.

    Raises:
        EditFailed: when the response was lost and the edit was not applied, or that is unknown.
    """
    api = context.api
    if edit.before is None:
        return await write_or_read_back(context, _create(api, edit.fields), [edit.what], _look_for_new(edit))
    if edit.deletes:
        return await write_or_read_back(context, _delete(api, edit.before.id), [edit.what], _look_for_none(edit))
    write = _update(api, edit.before, edit.fields)
    return await write_or_read_back(context, write, [edit.what], _look_for_changes(edit, edit.before))


async def _create(api: CekuraClient, fields: JsonObject) -> Alert | None:
    return _whole(await api.create_alert(fields), fields)


def _whole(answer: Alert, fields: JsonObject) -> Alert:
    """The alert in the response to a write.

    Raises:
        UnreadableAnswer: if a sent field is missing, so that the alert has to be read.
    """
    if missing := {*fields} - answer.model_fields_set:
        raise UnreadableAnswer(f"it does not show {', '.join(sorted(missing))}")
    return answer


async def _delete(api: CekuraClient, number: int) -> Alert | None:
    await api.delete_alert(number)
    return None


async def _update(api: CekuraClient, before: Alert, fields: JsonObject) -> Alert | None:
    """The alert in the response, which may omit the metric and the project: they cannot change."""
    answer = _whole(await api.update_alert(before.id, fields), fields)
    fixed = {name: getattr(before, name) for name in ("project", "source_id")}
    kept = {name: before.stored(name) for name in CHANGEABLE if name not in answer.model_fields_set}
    return answer.model_copy(update={**fixed, **kept})


def _look_for_new(edit: AlertEdit) -> Any:
    async def look(api: CekuraClient) -> ReadBack[Alert | None]:
        alerts = [alert for alert in await api.alerts(edit.project) if alert.id not in edit.existing_ids]
        fresh = [a for a in alerts if same(a.name, edit.fields.get("name")) and a.source_id == edit.fields["source_id"]]
        if len(fresh) == 1:
            return ReadBack({edit.what: "applied"}, fresh[0])
        return ReadBack({edit.what: "unknown" if fresh else "not applied"}, None)

    return look


def _look_for_none(edit: AlertEdit) -> Any:
    async def look(api: CekuraClient) -> ReadBack[Alert | None]:
        """Check the list, because a deleted alert may still be readable by its id."""
        number = edit.before.id if edit.before else None
        is_there = number in {alert.id for alert in await api.alerts(edit.project)}
        return ReadBack({edit.what: "not applied" if is_there else "applied"}, None)

    return look


def _look_for_changes(edit: AlertEdit, before: Alert) -> Any:
    async def look(api: CekuraClient) -> ReadBack[Alert | None]:
        stored = await api.alert(before.id)
        applied = not alert_differences(edit.fields, stored)
        untouched = all(same(stored.stored(name), before.stored(name)) for name in edit.fields)
        return ReadBack({edit.what: "applied" if applied else "not applied" if untouched else "unknown"}, stored)

    return look
