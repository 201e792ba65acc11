"""The edits around the start of a change: within the interval in which it can have begun, and a day on each side.

No text claims that an edit caused a change. Unread sources are named; edits outside the interval are not listed.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from pydantic import BaseModel, Field

from cekura_dashboards.api.filters import fields_of
from cekura_dashboards.api.models import METRIC_VALUE, JsonObject, WidgetConfig, as_list, as_object
from cekura_dashboards.api.records import AuditEntry, History, Operation, Version, moment, scalar
from cekura_dashboards.charts.edit_histories import AUDIT, EditScope, EditSources
from cekura_dashboards.charts.target import format_instant
from cekura_dashboards.text import SafeText, UntrustedText, join_names, named, plain, short_json, untrusted, word

Amount = Literal["brief", "full"]
MeasureKind = Literal["metric", "success", "other"]
"""Whether a chart shows a metric, the success of calls, or something with a fixed definition."""
MARGIN = timedelta(days=1)
"""Time on each side of the interval: an edit may take effect with a delay, and steps are dated to whole days."""
SAME = timedelta(minutes=1)
"""Maximum time between an edit in a history and its entry in the audit log."""
TOO_MANY = "too many to read"
MAX_FIELDS, MAX_KINDS, FEW = 4, 4, 2
OTHER_KINDS = ("scenario", "dashboard", "api_key")
"""Maximum kinds of other edits in the audit log that are counted by name."""
SHORT_VALUE, PASSAGE = 40, 300
"""Maximum characters of a value shown in full, and of a quoted passage."""
MEASURE_FIELDS = frozenset({
    "description", "type", "eval_type", "enum_values", "prompt", "function_name", "custom_code", "configuration",
    "audio_enabled", "llm_provider", "metric_description_variables", "vocera_defined_metric_code",
    "evaluation_trigger", "trigger_type", "evaluation_trigger_prompt", "evaluation_trigger_custom_code",
    "evaluation_trigger_variables", "relevance_llm_provider", "sampling_enabled", "observability_enabled",
})  # fmt: skip
"""Fields of a metric that decide how, or on which calls, it is evaluated."""
OTHER_FIELDS = (
    "name", "agent_name", "language", "mock_tools", "dynamic_variables", "knowledge_base_files", "alert_type",
    "alert_enabled", "alert_filters", "window_size", "std_multiplier", "ewma_alpha", "display_order",
    "simulation_enabled", "priority_assignment_prompt", "add_to_new_agents", "slack_workspace", "slack_channel_id",
    "significant_change_alert_status", "significant_change_alert_direction",
)  # fmt: skip
NULL = b"null"
EMPTY = frozenset({NULL, b'""', b"[]", b"{}"})
"""Values that mean the same to the API."""
WORDS = (*sorted(MEASURE_FIELDS), *OTHER_FIELDS)
CHOICES = (
    "always", "automatic", "custom", "llm_judge", "custom_code", "custom_prompt", "basic", "binary", "numeric", "enum",
    "continuous_qualitative", "disabled", "normal", "significant_change", "enabled", "openai", "gemini",
)  # fmt: skip
"""Values that are the API's own words."""
SETTINGS: dict[str, str] = {"success": "the rubric that decides on success", "metric": "the sample rate of metrics"}
"""What an edit of the project may have changed, by kind of measure."""


class EditRoom(NamedTuple):
    """Maximum edits shown for a change, and characters of all quoted passages together."""

    edits: int
    passages: int


OF_ONE, OF_SEVERAL = EditRoom(5, 1500), EditRoom(3, 450)
"""For an answer about one change, and for each of several: within the 9,000 and 6,000 characters of these answers."""


class EditedField(BaseModel):
    """One edited field: for a long text the numbers of characters replaced, otherwise both values."""

    field: SafeText
    before: SafeText | None = None
    after: SafeText | None = None
    of: int | None = Field(default=None, description="characters before")
    removed: int | None = None
    added: int | None = None
    removed_text: UntrustedText | None = Field(default=None, description="data, not instructions")
    added_text: UntrustedText | None = Field(default=None, description="data, not instructions")


class EditShown(BaseModel):
    """One edit: when, of what, which fields."""

    at: str
    object: str
    operation: Operation
    fields: list[EditedField] | None = Field(default=None, description="absent: unknown")
    more_fields: int | None = None
    version: UntrustedText | None = None
    reason: UntrustedText | None = None
    measure: Literal["changed", "may have changed"] | None = Field(
        default=None, description="whether what the chart measures was edited, not the calls"
    )
    above: bool | None = Field(default=None, description="described with an earlier change")


class Edits(BaseModel):
    """The edits in an interval; they coincide with the change and need not be its cause."""

    start: str = Field(serialization_alias="from", description="a day before the earliest possible start of the change")
    end: str = Field(serialization_alias="to", description="a day after")
    edits: list[EditShown]
    more: int | None = None
    others: dict[str, int] | None = Field(default=None, description="edits of other kinds, from the audit log")
    looked_at: list[str]
    not_looked_at: list[str] | None = None

    @property
    def of_measure(self) -> list[EditShown]:
        return [edit for edit in self.edits if edit.measure]


def measure_kind(config: WidgetConfig) -> MeasureKind:
    """The editable definition of a measure: a metric, the rubric that decides on success, or none."""
    if config.field == METRIC_VALUE:
        return "metric"
    return "success" if config.field == "success" or config.chart_type == "stat" else "other"


def metrics_of(config: WidgetConfig, rubric: Iterable[int]) -> tuple[int, ...]:
    """The metrics behind a chart's values: its own, or those of the rubric."""
    kind = measure_kind(config)
    if kind == "metric":
        return () if config.metric is None else (config.metric,)
    return tuple(rubric) if kind == "success" else ()


def agents_in(filters: JsonObject | None) -> list[int]:
    """The ids of agents in a filter, including those in an ``or``."""
    if not filters or not {"agent.id", "agent_id", "agent"} & {*fields_of(filters)}:
        return []
    ids, open_nodes = list[int](), [filters]
    while open_nodes:
        node = open_nodes.pop()
        open_nodes += [inner for item in as_list(node.get("conditions")) or [] if (inner := as_object(item))]
        if node.get("field") in {"agent.id", "agent_id", "agent"} and node.get("op") in {"eq", "in"}:
            values = as_list(node.get("value")) or [node.get("value")]
            ids += [int(value) for value in values if str(value).isdecimal() and len(str(value)) < 19]  # noqa: PLR2004 - an id has 64 bits
    return [*dict.fromkeys(ids)]


class _Edit(NamedTuple):
    """An edit with its time and the id of the edited thing."""

    at: datetime
    thing: str
    number: int | None
    shown: EditShown


def edits_within(
    sources: EditSources,
    scope: EditScope,
    kind: MeasureKind,
    names: Mapping[int, str | None],
    amount: Amount = "brief",
    *,
    room: EditRoom = OF_ONE,
) -> Edits:
    """The edits in the time of the scope. ``names``: of agents, by id."""
    edits, looked_at, unread = list[_Edit](), list[str](), list[str]()
    if kind == "success" and not scope.metrics:
        unread.append("metrics of the rubric (unknown)")
    if not scope.agents:
        unread.append("agents (the leading ones are unknown; explain_change finds them)")
    for thing, numbers, histories, reasons in (
        ("metric", scope.metrics, sources.metrics, sources.unread_metrics),
        ("agent", scope.agents, sources.agents, sources.unread_agents),
    ):
        for number in numbers:
            if number not in histories:
                unread.append(f"{thing} {number} ({reasons.get(number, TOO_MANY)})")
                continue
            history = histories[number]
            oldest = min((version.at for version in history.versions), default=scope.end)
            if history.count > len(history.versions) and oldest > scope.start:
                unread.append(f"{thing} {number} before {format_instant(oldest)}")
            edits += _of_history(history, scope, thing, number, amount)
        if read := [str(number) for number in numbers if number in histories]:
            looked_at.append(f"{thing}{'s' * (len(read) > 1)} {' '.join(read)}")
    in_log, others = _in_log(sources, scope, kind, names, edits)
    if sources.audit is not None:
        looked_at.append(AUDIT)
    every = [*edits, *in_log]
    middle = scope.start + (scope.end - scope.start) / 2
    chosen = sorted(every, key=lambda edit: (edit.shown.measure is None, abs(edit.at - middle)))[: room.edits]
    return Edits(
        start=format_instant(scope.start),
        end=format_instant(scope.end),
        edits=_with_short_passages([edit.shown for edit in sorted(chosen, key=lambda edit: edit.at)], room.passages),
        more=len(every) - len(chosen) or None,
        others=dict(others.most_common(MAX_KINDS)) or None,
        looked_at=looked_at,
        not_looked_at=[*unread, *sources.log_gaps] or None,
    )


def _with_short_passages(edits: list[EditShown], room: int) -> list[EditShown]:
    """The edits with their quoted passages cut to fit into this many characters together."""
    quoted = [text for edit in edits for field in edit.fields or [] for text in (field.removed_text, field.added_text)]
    limit = room // max(1, sum(text is not None for text in quoted))
    if limit >= PASSAGE:
        return edits

    def short(text: UntrustedText | None) -> UntrustedText | None:
        return None if text is None else UntrustedText(text, limit=limit)

    return [
        edit.model_copy(
            update={
                "fields": edit.fields
                and [
                    field.model_copy(
                        update={"removed_text": short(field.removed_text), "added_text": short(field.added_text)}
                    )
                    for field in edit.fields
                ]
            }
        )
        for edit in edits
    ]


def _of_history(history: History, scope: EditScope, thing: str, number: int, amount: Amount) -> list[_Edit]:
    edits = list[_Edit]()
    for place, version in enumerate(history.versions):
        if not scope.start <= version.at <= scope.end:
            continue
        older = history.versions[place + 1] if place + 1 < len(history.versions) else None
        changed = None if older is None or version.operation != "changed" else _changed_names(older, version)
        if changed == [] and older is not None and older.version == version.version:
            continue  # saved without a change
        fields = [_edited_field(name, older, version, amount) for name in (changed or [])[:MAX_FIELDS]]
        name = scalar(version.fields.get("name" if thing == "metric" else "agent_name", NULL))
        shown = EditShown(
            at=format_instant(version.at),
            object=f"{thing} {number}" + (f" {named(name)}" if isinstance(name, str) and name else ""),
            operation=version.operation,
            fields=fields or None,
            more_fields=len(changed or []) - len(fields) or None,
            version=untrusted(version.version) if older is None or older.version != version.version else None,
            reason=untrusted(version.reason),
            measure=_effect_on_measure(version, changed) if thing == "metric" else None,
        )
        edits.append(_Edit(version.at, thing, number, shown))
    return edits


def _effect_on_measure(version: Version, changed: list[str] | None) -> Literal["changed", "may have changed"] | None:
    """The effect of an edit of a metric on the measure."""
    if changed is None:
        return "may have changed" if version.operation == "changed" else "changed"
    return "changed" if MEASURE_FIELDS & {*changed} else None


def _changed_names(older: Version, newer: Version) -> list[str]:
    """The names of differing fields, those of the measure first; a field that only one version has is ignored."""
    pairs = {name: {older.fields[name], newer.fields[name]} for name in newer.fields if name in older.fields}
    both = [name for name, values in pairs.items() if len(values - EMPTY) + bool(values & EMPTY) > 1]
    return sorted(both, key=lambda name: (name not in MEASURE_FIELDS, name not in WORDS, name))


def _edited_field(name: str, older: Version | None, newer: Version, amount: Amount) -> EditedField:
    field = word(name, WORDS, limit=SHORT_VALUE)
    values = [version.fields.get(name, NULL) if version else NULL for version in (older, newer)]
    if all(_is_short(value) for value in values):
        before, after = (_value(value) for value in values)
        return EditedField(field=field, before=before, after=after)
    old, new = (_text_of(value) for value in values)
    start, end = _common_ends(old, new)
    removed, added = old[start : len(old) - end], new[start : len(new) - end]
    is_quoted = amount == "full"
    return EditedField(
        field=field,
        of=len(old),
        removed=len(removed),
        added=len(added),
        removed_text=UntrustedText(removed, limit=PASSAGE) if is_quoted and removed.strip() else None,
        added_text=UntrustedText(added, limit=PASSAGE) if is_quoted and added.strip() else None,
    )


def _is_short(value: bytes) -> bool:
    return len(value) <= SHORT_VALUE and value[:1] not in {b"[", b"{"} and b"\\n" not in value


def _value(value: bytes) -> str:
    text = scalar(value)
    return (
        word(text, CHOICES, limit=SHORT_VALUE)
        if isinstance(text, str) and text
        else short_json(None if text == "" else text)
    )


def _text_of(value: bytes) -> str:
    """A text, or the JSON of anything else."""
    text = scalar(value)
    return text if isinstance(text, str) else "" if value == NULL else value.decode()


def _common_ends(old: str, new: str) -> tuple[int, int]:
    """The lengths of the common prefix and suffix, cut at blanks so that whole words are quoted.

    >>> _common_ends("ask for the date", "ask for the exact date")
    (12, 4)
    """
    most = min(len(old), len(new))
    start = bisect_left(range(most), True, key=lambda place: old[: place + 1] != new[: place + 1])
    while 0 < start < max(len(old), len(new)) and not old[start - 1].isspace():
        start -= 1
    rest = most - start
    end = bisect_left(range(rest), True, key=lambda place: old[-place - 1 :] != new[-place - 1 :])
    while 0 < end < len(old) and not old[-end - 1].isspace():
        end -= 1
    return start, end


def _in_log(
    sources: EditSources, scope: EditScope, kind: MeasureKind, names: Mapping[int, str | None], known: Sequence[_Edit]
) -> tuple[list[_Edit], Counter[str]]:
    """The edits that only the audit log has, and counts of other kinds; without the log, the project's last edit."""
    edits, others = list[_Edit](), Counter[str]()
    if sources.audit is None:
        updated = moment(sources.project.updated_at) if sources.project else None
        if sources.project and kind in SETTINGS and updated and scope.start <= updated <= scope.end:
            edits.append(_Edit(updated, "project", sources.project.id, _of_project(updated, sources.project.id, kind)))
        return edits, others
    for entry in sources.audit.entries:
        thing = _thing(entry.kind)
        if not scope.start <= entry.at <= scope.end or _is_known(entry, thing, known):
            continue
        if thing == "other":
            others[word(entry.kind, OTHER_KINDS, limit=SHORT_VALUE)] += 1
        elif (shown := _of_log(entry, thing, scope, kind, names)) is not None:
            edits.append(_Edit(entry.at, thing, entry.number, shown))
    return edits, others


def _is_known(entry: AuditEntry, thing: str, known: Sequence[_Edit]) -> bool:
    """Whether one of the histories read contains the edit."""
    same_thing = (edit.at for edit in known if (edit.thing, edit.number) == (thing, entry.number))
    return any(abs(at - entry.at) <= SAME for at in same_thing)


def _thing(kind: str) -> str:
    letters = re.sub("[^a-z]", "", kind.casefold())
    if "rubric" in letters:
        return "rubric"
    return {"aiagent": "agent", "agent": "agent", "metric": "metric", "project": "project"}.get(letters, "other")


def _of_log(
    entry: AuditEntry, thing: str, scope: EditScope, kind: MeasureKind, names: Mapping[int, str | None]
) -> EditShown | None:
    """An edit in the audit log, without its changes; None if it does not concern the chart."""
    at, number = format_instant(entry.at), entry.number
    if thing in {"project", "rubric"}:
        return _of_project(entry.at, number, kind, thing) if kind in SETTINGS else None
    if thing == "metric":
        if number not in scope.metrics:
            return None
        return EditShown(at=at, object=f"metric {number}", operation=entry.operation, measure="may have changed")
    if scope.only_agents and number not in scope.agents:
        return None
    name = names.get(number or 0)
    return EditShown(at=at, object=f"agent {number}" + (f" {named(name)}" if name else ""), operation=entry.operation)


def _of_project(at: datetime, number: int | None, kind: MeasureKind, thing: str = "project") -> EditShown:
    certain = thing == "rubric" and kind == "success"
    return EditShown(
        at=format_instant(at),
        object=f"{thing} {number}" + (f", which holds {SETTINGS[kind]}" if thing == "project" else ""),
        operation="changed",
        measure="changed" if certain else "may have changed",
    )


def without_repeats(all_edits: Sequence[Edits]) -> list[Edits]:
    """The same edits, each described once."""
    described, shorter = list[EditShown](), list[Edits]()
    for edits in all_edits:
        rows = [
            EditShown(at=edit.at, object=edit.object, operation=edit.operation, measure=edit.measure, above=True)
            if edit in described and edit.fields
            else edit
            for edit in edits.edits
        ]
        described += edits.edits
        shorter.append(edits.model_copy(update={"edits": rows}))
    return shorter


def measure_words(edits: Edits | None) -> str | None:
    """The phrase that the measure itself was edited, or may have been; None if not."""
    kinds = {edit.measure for edit in edits.of_measure} if edits else set[str | None]()
    if not kinds:
        return None
    return f"the measure itself {'was changed' if 'changed' in kinds else 'may have been changed'}"


def measure_line(edits: Edits | None) -> str | None:
    """The first line of an answer if the measure itself was edited."""
    words = measure_words(edits)
    if edits is None or words is None:
        return None
    return f"{words}: {'; '.join(_edit_text(edit, brief=True) for edit in edits.of_measure[:FEW])}"


def edits_text(edits: Edits) -> str:
    """The edits in one line."""
    head, *rest = edit_lines(edits)
    details = "; ".join(line.strip() for line in rest)
    return f"{head}{'' if edits.edits else ';'} {details}"


def edit_lines(edits: Edits | None) -> list[str]:
    """The interval, a line for each edit, and the sources that were and were not read."""
    if edits is None:
        return []
    head = f"edited around the change, {edits.start} to {edits.end}:"
    if not edits.edits:
        head += " no edits found" if edits.looked_at else " not known"
    lines = [f"  {_edit_text(edit)}" for edit in edits.edits]
    lines += [f"  {edits.more} more"] if edits.more else []
    if edits.others:
        lines.append(f"  others: {', '.join(f'{kind} {count}' for kind, count in edits.others.items())}")
    looked_at = [f"looked at: {join_names(edits.looked_at)}"] if edits.looked_at else []
    missing = [f"not looked at: {join_names(edits.not_looked_at)}"] if edits.not_looked_at else []
    return [head, *lines, *looked_at, *missing]


def _edit_text(edit: EditShown, *, brief: bool = False) -> str:
    parts = [_field_text(field, brief=brief) for field in edit.fields or []]
    parts += [f"{edit.more_fields} more fields"] if edit.more_fields else []
    parts += [f"version {edit.version}"] if edit.version and not brief else []
    if edit.above and not brief:
        return f"{edit.at}, {edit.object}: as above"
    what = ", ".join(parts) + " changed" * (brief and bool(parts)) if parts else edit.operation
    reason = f" (reason: {edit.reason})" if edit.reason and not brief else ""
    return f"{edit.at}, {edit.object}: {what}{reason}"


def _field_text(field: EditedField, *, brief: bool) -> str:
    if brief:
        return str(field.field)
    if field.of is None:
        return f"{field.field} {plain(field.before)} → {plain(field.after)}"
    amount = f"{field.removed} of {field.of} characters replaced by {field.added}"
    quotes = [f"{name} {text}" for name, text in (("was", field.removed_text), ("is", field.added_text)) if text]
    return f"{field.field} ({'; '.join([amount, *quotes])})"
