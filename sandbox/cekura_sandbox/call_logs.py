"""Single calls, each with its transcript, as the call-logs endpoint lists them."""

from datetime import datetime
from typing import Any

import duckdb
from fastapi import Request

from cekura_sandbox.charts import ApiVariant
from cekura_sandbox.filters import FilterError, Sql, to_sql
from cekura_sandbox.shapes import PageMissing, Pages
from cekura_sandbox.store import Invalid

REFUNDS = 7
"""In one of so many calls about something a refund is asked for."""
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
    """The newest calls first, of those for which every filter in ``scope`` holds."""
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
    """What was measured of each of these calls."""
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
