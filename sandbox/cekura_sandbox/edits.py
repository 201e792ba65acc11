"""Edits by people: the versions of metrics and agents, and the organisation's audit log.

An edit does not change calls itself: the changes that accompany it are in the generated calls.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from cekura_sandbox.calls import AGENTS, METRICS, PROJECTS, RELEASE_AGENT, RELEASE_DAYS_AGO, RUBRIC
from cekura_sandbox.filters import Invalid, Missing

Record = dict[str, Any]
Kind = Literal["metric", "aiagent", "project", "dashboard", "scenario"]
ORGANIZATION = 7
LONGEST_LOG = timedelta(days=30)
USUAL_LOG = timedelta(days=7)
CREATED_DAYS_AGO = 60
INSTRUCTIONS = (
    "You are {name}, the voice agent of a busy office. Greet the caller, find out what they need, and confirm it in "
    "one sentence before you act. Ask for the date of birth before you open a record. Offer the first free time only "
    "if the caller asks for it. Say what happens next, and end the call politely."
)
SHORTER = (
    "You are {name}, the voice agent of a busy office. Greet the caller, offer the first free time at once, and book "
    "it unless the caller objects. Ask for the date of birth before you open a record. Say what happens next, and end "
    "the call politely."
)
PROMPT = "Decide for the whole call: {name}. Quote the line that decides it, and score what the caller would say."


class Edit(NamedTuple):
    """One edit. ``fields``: the new values; None for a deletion. ``reason`` and ``version``: of its history."""

    at: datetime
    kind: Kind
    id: int
    fields: Record | None
    reason: str | None = None
    version: str | None = None


@dataclass
class Edits:
    """All edits of one sandbox; ``plant`` adds to them."""

    now: datetime
    quiet: bool = False
    _edits: list[Edit] = field(default_factory=list[Edit])

    def __post_init__(self) -> None:
        created = self.now - timedelta(days=CREATED_DAYS_AGO)
        for number, name, kind, *_ in METRICS:
            self.plant(Edit(created, "metric", number, {**_metric(name), "eval_type": kind}))
        for number, name, _ in RUBRIC:
            self.plant(Edit(created, "metric", number, {**_metric(name), "eval_type": "binary"}))
        for number, name, *_ in AGENTS:
            fields = {"agent_name": name, "language": "en", "description": INSTRUCTIONS.format(name=name)}
            fields |= {"mock_tools": "[]", "dynamic_variables": "[]", "knowledge_base_files": "[]"}
            self.plant(Edit(created, "aiagent", number, fields, version="2.3.0"))
        for edit in _without_effect(self.now):
            self.plant(edit)
        if not self.quiet:
            self.plant(_release(self.now))

    def plant(self, *edits: Edit) -> None:
        self._edits = sorted([*self._edits, *edits], key=lambda edit: edit.at)

    def last(self, kind: Kind, number: int) -> datetime:
        """The time of the last edit, or of the creation."""
        created = self.now - timedelta(days=CREATED_DAYS_AGO)
        return max((edit.at for edit in self._edits if (edit.kind, edit.id) == (kind, number)), default=created)

    def history(self, kind: Kind, number: int) -> list[Record]:
        """The versions of a metric or agent, the newest first.

        Raises:
            Missing: if it never existed.
        """
        state, rows = dict[str, Any](), list[Record]()
        for place, edit in enumerate(self._edits):
            if (edit.kind, edit.id) != (kind, number):
                continue
            sort = "-" if edit.fields is None else "~" if rows else "+"
            state = {**state, **(edit.fields or {})}
            version = edit.version or (rows[0]["version_name"] if rows else None)
            about = {
                "history_id": place + 1, "history_date": _stamp(edit.at), "history_type": sort,
                "history_change_reason": edit.reason, "history_user": None, "version_id": f"v{place + 1}",
                "version_name": version, "id": number,
            }  # fmt: skip
            rows.insert(0, {**state, **about})
        if not rows:
            raise Missing
        return rows

    def log(self, query: dict[str, str | None], now: datetime) -> list[Record]:
        """The operations in the requested time, newest first: edits, and runs of scenarios between them.

        Raises:
            Invalid: for a malformed time, or more than 30 days.
        """
        end = moment_of(query, "end_time", now)
        start = moment_of(query, "start_time", end - USUAL_LOG)
        if end - start > LONGEST_LOG:
            raise Invalid({"detail": "The time range must not exceed 30 days."})
        project = query.get("project_id")
        rows = [
            _entry(place, edit.at, edit.kind, edit.id, operation)
            for place, edit in enumerate(self._edits)
            for operation in ("delete" if edit.fields is None else "create" if place < self._created else "update",)
        ]
        day = timedelta(days=1)
        rows += [
            _entry(10_000 + days, self.now - day * days - day / 3, "scenario", 900 + days, None, "run_scenarios")
            for days in range(0, CREATED_DAYS_AGO, 3)
        ]
        asked = [
            row
            for row in rows
            if _stamp(start) <= row["timestamp"] <= _stamp(end) and project in {None, str(row["project"])}
        ]
        return sorted(asked, key=lambda row: (row["timestamp"], row["id"]), reverse=True)

    @property
    def _created(self) -> int:
        """The number of first edits that create something."""
        return len(METRICS) + len(RUBRIC) + len(AGENTS)

    def project(self, number: int) -> Record:
        """The organisation, rubric and last edit in the record of a project."""
        passed = {"operator": "and", "conditions": [{"field": "score", "op": "eq", "value": True}]}
        rules = [{"metric_id": rule, "conditions": passed} for rule, _, project in RUBRIC if project == number]
        return {
            "organization": {"id": ORGANIZATION, "name": "Sandbox", "members": []},
            "rubric_config": {"evaluation_logic": "and", "rules": rules},
            "updated_at": _stamp(self.last("project", number)),
        }


def _metric(name: str) -> Record:
    return {
        "name": name, "description": f"{name}, of the whole call.", "prompt": PROMPT.format(name=name),
        "type": "llm_judge", "enum_values": None,
        "evaluation_trigger": "always", "sampling_enabled": True, "observability_enabled": True,
        "alert_type": "disabled", "window_size": 50, "std_multiplier": 2.0, "ewma_alpha": 0.3,
    }  # fmt: skip


def _without_effect(now: datetime) -> list[Edit]:
    """Edits without a change in the calls."""

    def ago(days: float) -> datetime:
        return now - timedelta(days=days)

    return [
        Edit(ago(24.2), "metric", 503, {"description": "Appointment booked, moved or cancelled as wanted."}, "Wording"),
        Edit(ago(20.6), "aiagent", 31, {"dynamic_variables": '["office_hours"]'}, None, "2.3.1"),
        Edit(ago(16.3), "project", 1, {"rubric_config": "…"}),
        Edit(ago(13.1), "aiagent", 35, {"language": "multi"}, "Spanish callers", "2.3.1"),
        Edit(ago(8.4), "dashboard", 11, {"name": "Operations overview"}),
        Edit(ago(2.2), "aiagent", 36, {"knowledge_base_files": '["holidays.pdf"]'}, "Holidays", "2.3.1"),
        Edit(ago(1.1), "metric", 505, {"alert_type": "significant_change"}),
    ]


def _release(now: datetime) -> Edit:
    """The release of one agent, after which it succeeds less often."""
    at = now - timedelta(days=RELEASE_DAYS_AGO)
    name = next(agent[1] for agent in AGENTS if agent[0] == RELEASE_AGENT)
    return Edit(
        at, "aiagent", RELEASE_AGENT, {"description": SHORTER.format(name=name)}, "Offer a time at once", "2.4.0"
    )


def _entry(number: int, at: datetime, kind: Kind, thing: int, operation: str | None, action: str = "object") -> Record:
    projects = {agent[0]: agent[2] for agent in AGENTS} | {metric[0]: metric[3] for metric in METRICS}
    projects |= {rule: project for rule, _, project in RUBRIC}
    project = thing if kind == "project" else projects.get(thing, 1)
    names = dict[int | None, str](PROJECTS)
    return {
        "id": number, "organization": ORGANIZATION, "organization_name": "Sandbox", "project": project,
        "project_name": names.get(project), "user": None, "user_email": None, "api_key_name": None,
        "action_type": action, "operation_type": operation, "object_type": kind, "object_id": thing,
        "timestamp": _stamp(at),
    }  # fmt: skip


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def moment_of(query: dict[str, str | None], name: str, usual: datetime) -> datetime:
    text = query.get(name)
    try:
        moment = datetime.fromisoformat(text) if text else usual
    except ValueError:
        raise Invalid({name: ["Datetime has wrong format."]}) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
