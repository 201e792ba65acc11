"""Single calls, each with its transcript, as the call-logs endpoint lists them."""

from datetime import datetime
from typing import Any

import duckdb
from fastapi import Request

from cekura_sandbox.calls import (
    FAILURE_METRIC,
    FAILURE_MODES,
    METRICS,
    MOST_MODE_CALLS,
    RELEASE_AGENT,
    RELEASE_MODE,
    RELEASE_RULE,
    RUBRIC,
)
from cekura_sandbox.charts import ApiVariant
from cekura_sandbox.filters import FilterError, Invalid, Missing, Sql, to_sql
from cekura_sandbox.shapes import PageMissing, Pages

REFUNDS = 7
"""In one of this many calls the caller asks for a refund."""
COLUMNS = (
    "id", "ts", "agent_id", "agent_name", "duration", "success", "is_reviewed", "call_ended_reason",
    "dropoff_point", "topic", "customer_number", "metadata",
)  # fmt: skip


def call_logs(
    con: duckdb.DuckDBPyConnection,
    request: Request,
    pages: Pages,
    project: int | None,
    scope: list[Any],
    now: datetime,
    readings: ApiVariant,
) -> dict[str, Any]:
    """The calls that match every filter in ``scope``, newest first."""
    sql = Sql()
    try:
        parts = [f"({to_sql(item, sql, now)})" for item in scope]
    except FilterError as error:
        raise Invalid({"filters_v2": [str(error)]}) from None
    if project is not None:
        parts.append(f"c.project = {sql.bind(project)}")
    where = " AND ".join(parts)
    counted = con.cursor().execute(f"SELECT count(*) FROM calls c WHERE {where}", sql.parameters).fetchone()  # noqa: S608 - bound
    if (pages.page - 1) * pages.size > (counted[0] if counted else 0):
        raise PageMissing
    rows = (
        con.cursor()
        .execute(
            f"SELECT {', '.join(COLUMNS)} FROM calls c WHERE {where} ORDER BY ts DESC, id DESC LIMIT ? OFFSET ?",  # noqa: S608 - bound
            [*sql.parameters, pages.size, (pages.page - 1) * pages.size],
        )
        .fetchall()
    )
    items = [_item(dict(zip(COLUMNS, row, strict=True))) for row in rows]
    measured = _metrics(con, [call["id"] for call in items])
    for call in items:
        call["metrics"] = measured.get(call["id"], [])
        if readings.call_metadata == "absent":
            del call["metadata"]
    return pages.envelope(request, counted[0] if counted else 0, items)


def _item(call: dict[str, Any]) -> dict[str, Any]:
    minutes, seconds = divmod(int(call.pop("duration")), 60)
    moment = call.pop("ts").isoformat(timespec="seconds") + "Z"
    success = call["success"]
    return {
        **call,
        "agent": call.pop("agent_id"),
        "call_id": f"call_{call['id']}",
        "duration": f"{minutes:02d}:{seconds:02d}",
        "timestamp": moment,
        "created_at": moment,
        "status": "success" if success else "failure",
        "dropoff_point": call["dropoff_point"] or "",
        "topic": call["topic"] or "",
        "transcript": _transcript(call),
    }


def _metrics(con: duckdb.DuckDBPyConnection, ids: list[int]) -> dict[int, list[dict[str, Any]]]:
    """The metric evaluations of each of these calls."""
    rows = (
        con.cursor()
        .execute(
            "SELECT e.call_id, m.id, m.name, m.eval_type, e.number, e.label FROM evaluations e "
            "JOIN metrics m ON m.id = e.metric_id WHERE e.call_id IN (SELECT unnest(?)) ORDER BY m.id",
            [ids],
        )
        .fetchall()
    )
    metrics_by_call = dict[int, list[dict[str, Any]]]()
    for call, number, name, kind, score, label in rows:
        value = {"enum": label, "value": label} if kind == "enum" else {"score": score}
        metrics_by_call.setdefault(call, []).append({"id": number, "name": name, "type": kind, **value})
    return metrics_by_call


def _transcript(call: dict[str, Any]) -> str:
    return "\n".join(
        [
            f"[00:01] Main Agent: Hello, this is {call['agent_name']}. How can I help?",
            f"[00:06] Caller: It is about {call['topic'] or 'something else'}.",
            *(["[00:09] Caller: I would like a refund for it."] if call["topic"] and call["id"] % REFUNDS == 0 else []),
            "[00:11] Main Agent: One moment, I will look that up.",
            "[00:24] Main Agent: That is done." if call["success"] else "[00:24] Caller: Never mind, goodbye.",
        ]
    )


def call_details(con: duckdb.DuckDBPyConnection, number: int) -> dict[str, Any]:
    """One call with the details that the list omits: metadata, the rubric's rules, and an explanation of each metric.

    Raises:
        Missing: if there is no such call.
    """
    rows = con.cursor().execute(
        f"SELECT {', '.join(COLUMNS)}, project, {RULE_DRAW} FROM calls c WHERE id = ?",  # noqa: S608 - bound
        [number],
    )
    row = rows.fetchone()
    if row is None:
        raise Missing
    *columns, project, draw = row
    call = _item(dict(zip(COLUMNS, columns, strict=True)))
    metadata = {name: value for name, value in call["metadata"].items() if value is not None}
    return {
        **call,
        "agent_id": str(call["agent"]),
        "project": project,
        "metadata": {"ended_reason": call["call_ended_reason"], **metadata},
        "dynamic_variables": {"office_hours": "08:00-18:00"},
        "rubric": _rubric(project, draw, call),
        "evaluation": {"metrics": [_explained(metric) for metric in _metrics(con, [number]).get(number, [])]},
    }


RULE_DRAW = (
    f"CASE WHEN agent_id = {RELEASE_AGENT} AND metadata['app_version'] = '2.4.0' AND u(id, 'rule') < 0.8 "
    f"THEN {RELEASE_RULE} ELSE u(id, 'other rule') END"
)
"""The rule that a failed call fails: its id, or a number from 0 to 1 that selects one."""


def _rubric(project: int, draw: float, call: dict[str, Any]) -> list[dict[str, Any]] | None:
    if call["success"] is None:
        return None
    rules = [(number, name) for number, name, of in RUBRIC if of == project]
    failed = draw if draw > 1 else rules[int(draw * len(rules))][0]
    condition = {"operator": "and", "conditions": [{"field": "score", "op": "eq", "value": True}]}
    return [
        {
            "metric_id": number, "metric_name": name, "value": 5 if passed else 0, "passed": passed,
            "explanation": [f"{name}: {'yes' if passed else 'the caller had to ask again'}."],
            "conditions": "score eq true", "expected_conditions": condition,
        }
        for number, name in rules
        for passed in [call["success"] or number != failed]
    ]  # fmt: skip


def _explained(metric: dict[str, Any]) -> dict[str, Any]:
    shown = metric.get("value", metric.get("score"))
    label = {"enum": metric.get("enum", ""), "value": metric.get("value", ""), "score": metric.get("score", 0)}
    return {**metric, **label, "explanation": [f"{metric['name']} is {shown}, by the whole conversation."], "extra": {}}


MODES = f"""
    SELECT c.id, c.ts, c.agent_id,
           CASE WHEN c.agent_id = {RELEASE_AGENT} AND c.metadata['app_version'] = '2.4.0' AND u(c.id, 'mode') < 0.85
                THEN '{RELEASE_MODE}'
                ELSE ($modes)[1 + CAST(floor(u(c.id, 'other mode') * len($modes)) AS INT)] END AS mode
    FROM calls c JOIN evaluations e ON e.call_id = c.id AND e.metric_id = {FAILURE_METRIC} AND e.number = 0
    QUALIFY row_number() OVER (ORDER BY u(c.id, 'of a mode')) <= {MOST_MODE_CALLS}
"""  # noqa: S608 - only constants are inserted
"""The calls with a failure mode, and its slug."""


def failure_modes(con: duckdb.DuckDBPyConnection, agents: str | None) -> list[dict[str, Any]]:
    """The failure modes of all calls, the most frequent first."""
    project = next(metric[3] for metric in METRICS if metric[0] == FAILURE_METRIC)
    counted = con.cursor().execute(
        f"SELECT mode, count(*), list(id ORDER BY ts DESC)[:3] FROM ({MODES}) "  # noqa: S608 - bound
        "WHERE agent_id IN (SELECT unnest($agents)) GROUP BY mode ORDER BY 2 DESC, 1",
        {"modes": FAILURE_MODES, "agents": _agents(con, agents)},
    )
    return [
        {
            "slug": mode, "name": mode.replace("-", " ").capitalize(), "metric_id": FAILURE_METRIC, "project": project,
            "count": count, "example_call_ids": examples,
        }
        for mode, count, examples in counted.fetchall()
    ]  # fmt: skip


def failure_calls(
    con: duckdb.DuckDBPyConnection, slug: str, agents: str | None, window: tuple[datetime, datetime]
) -> dict[str, Any]:
    """The calls with a failure mode in a window, the newest first."""
    if slug not in FAILURE_MODES:
        raise Missing
    rows = con.cursor().execute(
        f"SELECT id FROM ({MODES}) WHERE mode = $slug AND ts >= $start AND ts < $end "  # noqa: S608 - bound
        "AND agent_id IN (SELECT unnest($agents)) ORDER BY ts DESC",
        {"modes": FAILURE_MODES, "slug": slug, "start": window[0], "end": window[1], "agents": _agents(con, agents)},
    )
    ids = [number for (number,) in rows.fetchall()]
    return {"count": len(ids), "call_log_ids": ids}


def _agents(con: duckdb.DuckDBPyConnection, text: str | None) -> list[int]:
    if not text:
        return [number for (number,) in con.cursor().execute("SELECT id FROM agents").fetchall()]
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise Invalid({"agent_ids": ["Enter whole numbers."]}) from None
