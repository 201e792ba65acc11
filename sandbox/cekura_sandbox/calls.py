"""Generate calls of voice agents, with changes to find in them.

Every random number is the MD5 of (call, seed, salt), so a seed gives the same calls relative to ``now`` everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import duckdb

DAYS = 30
OUTAGE_DAYS_AGO = 10
OUTAGE_HOURS = (13, 15)
OLD_TYPE = "binary_workflow_adherence"
OLD_METRIC = 507
"""A metric with a type from an earlier version of the API."""
RELEASE_DAYS_AGO = 6
RELEASE_AGENT = 33
SURGE_DAYS_AGO = 3
SURGE_TOPIC = "billing question"
RARE_LANGUAGE = "is"

PROJECTS = [(1, "Northside Clinics"), (2, "Harbour Telecom")]
SECRETS = {
    "webhook_secret": "whsec-4f1c9a", "vapi_api_key": "vapi-7be23d", "retell_api_key": "retell-90aa5e",
    "elevenlabs_api_key": "eleven-51d0c7", "livekit_api_key": "livekit-c82f66",
}  # fmt: skip
"""Secrets in the record of every project, which no client may keep or show."""
AGENTS = [  # id, name, project, share of all calls, chance of success, typical seconds
    (31, "Reception", 1, 0.22, 0.90, 95),
    (32, "Triage", 1, 0.13, 0.86, 210),
    (33, "Booking", 1, 0.17, 0.90, 160),
    (34, "Prescriptions", 1, 0.09, 0.84, 120),
    (35, "Billing desk", 1, 0.07, 0.80, 190),
    (36, "After hours", 1, 0.05, 0.74, 140),
    (37, "Surveys", 1, 0.04, 0.93, 70),
    (38, "Sales line", 2, 0.08, 0.66, 240),
    (39, "Tech support", 2, 0.07, 0.72, 330),
    (40, "Retention", 2, 0.04, 0.61, 280),
    (41, "Number porting", 2, 0.03, 0.78, 200),
    (42, "Roaming help", 2, 0.01, 0.81, 150),
]
METRICS = [  # id, name, eval_type, project, share of calls evaluated
    (501, "Response latency", "numeric", 1, 0.97),
    (502, "Customer satisfaction", "numeric", 1, 0.40),
    (503, "Appointment booked", "binary", 1, 0.80),
    (504, "Sentiment", "enum", 1, 0.85),
    (505, "Empathy", "continuous_qualitative", 1, 0.60),
    (506, "Response latency", "numeric", 2, 0.97),
    (507, "Issue resolved", "binary", 2, 0.80),
]
MEASURED = {"Response latency": "get_latency"}
"""Metrics that code computes for every call, by name, with its function; others are judged, and may be sampled."""
TRIGGER = "customer-ended-call"
"""The end reason of calls on which a metric with a trigger is evaluated."""
RUBRIC = [  # id, name, project
    (521, "Need understood", 1),
    (522, "Identity checked", 1),
    (523, "Next step confirmed", 1),
    (524, "Need understood", 2),
    (525, "Problem resolved or handed over", 2),
]
"""The rules that a successful call passes: predefined metrics, which are in no project's own list."""
RELEASE_RULE = 523
"""The rule that most failed calls of the released agent fail."""
FAILURE_METRIC = 503
FAILURE_MODES = ["caller-wanted-other-time", "slot-taken", "caller-unsure", "identity-not-confirmed"]
"""The failure modes of metrics, by slug."""
RELEASE_MODE = "caller-wanted-other-time"
MOST_MODE_CALLS = 450
"""One in this many failed calls of the 30 days has a failure mode, because the API keeps at most 500."""
TOPICS = ["appointment", SURGE_TOPIC, "prescription refill", "opening hours", "test results", "complaint"]
ENDED = [("customer-ended-call", 0.52), ("agent-ended-call", 0.80), ("silence-timed-out", 0.90),
         ("call-forwarded", 0.96), ("error-connection", 0.99), ("voicemail-reached", 1.01)]  # fmt: skip
DROPOFFS = ["identity check", "choosing a slot", "payment", "waiting for a lookup", "closing"]


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The calls on which judged metrics are evaluated in the last ``since_days``; before that, all possible ones.

    ``passed``: the score of a pass of a binary metric. ``sample_rate``: the share of calls. ``triggered``: only
    calls that the caller ended. ``placeholders``: a call without an evaluation has a row without a value.
    """

    passed: int = 1
    sample_rate: float = 1
    triggered: bool = False
    since_days: float = DAYS
    placeholders: bool = False


ALWAYS = Evaluated()


def fill(
    con: duckdb.DuckDBPyConnection, now: datetime, seed: int, count: int, *, quiet: bool, evaluated: Evaluated = ALWAYS
) -> None:
    """Create the tables ``calls``, ``evaluations``, ``agents``, ``metrics`` over the 30 days before ``now``.

    ``quiet``: without changes, except for the seasonality of hours and weekdays.
    """
    con.execute(f"CREATE MACRO u(i, salt) AS md5_number(i || '/{int(seed)}/' || salt)::DOUBLE / {2.0**128}")
    con.execute(
        "CREATE MACRO gauss(i, salt) AS sqrt(-2 * ln(1 - u(i, salt || 'a'))) * cos(2 * pi() * u(i, salt || 'b'))"
    )
    _table(con, "agents", "id INT, name TEXT, project INT, share DOUBLE, success DOUBLE, seconds DOUBLE", AGENTS)
    _table(con, "metrics", "id INT, name TEXT, eval_type TEXT, project INT, share DOUBLE", METRICS)
    outage, release, surge = (
        now - timedelta(days=days if not quiet else -1) for days in (OUTAGE_DAYS_AGO, RELEASE_DAYS_AGO, SURGE_DAYS_AGO)
    )
    _fill_slots(con, now, outage=outage)
    _fill_calls(con, now, count, release=release, surge=surge, slows=not quiet)
    _fill_evaluations(con, now, evaluated)


def _table(con: duckdb.DuckDBPyConnection, name: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    con.execute(f"CREATE TABLE {name} ({columns})")
    values = [f"({', '.join('?' * len(row))})" for row in rows]
    con.execute(f"INSERT INTO {name} VALUES {', '.join(values)}", [value for row in rows for value in row])  # noqa: S608 - our own names


def _fill_slots(con: duckdb.DuckDBPyConnection, now: datetime, *, outage: datetime) -> None:
    """Ten-minute slots with the share of calls that began before each: the seasonality of hours and weekdays."""
    outage = outage.replace(minute=0, second=0, microsecond=0)
    con.execute(
        """
        CREATE TABLE slots AS
        WITH grid AS (
          SELECT ts, least(600, date_diff('second', ts, $now)) AS seconds,
                 (0.12 + exp(-pow((hour(ts) + minute(ts) / 60.0 - 10.5) / 3.0, 2))
                       + 0.8 * exp(-pow((hour(ts) + minute(ts) / 60.0 - 16.0) / 3.2, 2)))
                 * CASE WHEN isodow(ts) = 7 THEN 0.35 WHEN isodow(ts) = 6 THEN 0.5
                        WHEN isodow(ts) = 1 THEN 1.15 ELSE 1.0 END AS weight
          FROM range($begin::TIMESTAMP, $now::TIMESTAMP, INTERVAL 10 MINUTE) AS r(ts)
        ), weighed AS (
          SELECT ts, seconds, seconds * CASE WHEN ts >= $out_from AND ts < $out_to THEN 0 ELSE weight END AS w
          FROM grid
        )
        SELECT ts, seconds, coalesce(sum(w) OVER (ORDER BY ts ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW), 0)
                            / sum(w) OVER () AS before
        FROM weighed WHERE w > 0
        """,
        {
            "now": now,
            "begin": now - timedelta(days=DAYS),
            "out_from": outage.replace(hour=OUTAGE_HOURS[0]),
            "out_to": outage.replace(hour=OUTAGE_HOURS[1]),
        },
    )


def _fill_calls(
    con: duckdb.DuckDBPyConnection, now: datetime, count: int, *, release: datetime, surge: datetime, slows: bool
) -> None:
    """``slows``: latency grows with time."""
    ended = " ".join(f"WHEN u(i, 'ended') < {limit} THEN '{reason}'" for reason, limit in ENDED)
    con.execute(
        f"""
        CREATE TABLE calls AS
        WITH placed AS (
          SELECT i, s.ts + to_microseconds(CAST(u(i, 'second') * s.seconds * 1000000 AS BIGINT)) AS ts
          FROM (SELECT i, u(i, 'slot') AS p FROM range($count) AS r(i)) ASOF JOIN slots s ON p >= s.before
        ), answered AS (
          SELECT placed.*, a.id AS agent_id, a.name AS agent_name, a.project, a.success AS chance, a.seconds,
                 CASE WHEN $slows THEN 1 - date_diff('second', ts, $now) / 2592000.0 ELSE 0 END AS age,
                 a.id = {RELEASE_AGENT} AND ts >= $release AS released
          FROM placed ASOF JOIN (
            SELECT *, sum(share) OVER (ORDER BY id) - share AS low FROM agents
          ) a ON u(i, 'agent') >= a.low
        )
        SELECT 1000000 + row_number() OVER (ORDER BY ts, i) AS id, ts, agent_id, agent_name, project, age,
               round(greatest(4, seconds * exp(0.55 * gauss(i, 'len'))), 1) AS duration,
               CASE WHEN u(i, 'unknown') < 0.02 THEN NULL
                    ELSE u(i, 'success') < chance - CASE WHEN released THEN 0.18 ELSE 0 END END AS success,
               u(i, 'reviewed') < 0.2 AS is_reviewed,
               CASE {ended} END AS call_ended_reason,
               CASE WHEN u(i, 'success') < chance THEN NULL
                    ELSE ($dropoffs)[1 + CAST(floor(u(i, 'drop') * 5) AS INT)] END AS dropoff_point,
               CASE WHEN u(i, 'topicless') < 0.04 THEN NULL
                    WHEN ts >= $surge AND u(i, 'surge') < 0.28 THEN $surge_topic
                    ELSE ($topics)[1 + CAST(floor(pow(u(i, 'topic'), 1.4) * 6) AS INT)] END AS topic,
               '+1555' || lpad(CAST(CAST(floor(u(i, 'caller') * 20000) AS INT) AS TEXT), 7, '0') AS customer_number,
               MAP {{
                 'region': CASE WHEN u(i, 'region') < 0.5 THEN 'north' WHEN u(i, 'region') < 0.8 THEN 'south'
                                ELSE 'coast' END,
                 'language': CASE WHEN u(i, 'language') < 0.0003 THEN '{RARE_LANGUAGE}'
                                  WHEN u(i, 'language') < 0.2 THEN 'es' ELSE 'en' END,
                 'app_version': CASE WHEN released THEN '2.4.0' ELSE '2.3.1' END,
                 'campaign': CASE WHEN u(i, 'campaign') < 0.7 THEN NULL WHEN u(i, 'campaign') < 0.9 THEN 'recall'
                                  ELSE 'welcome' END
               }} AS metadata
        FROM answered
        """,  # noqa: S608 - only constants of this module are inserted
        {
            "count": count,
            "now": now,
            "release": release,
            "surge": surge,
            "slows": slows,
            "surge_topic": SURGE_TOPIC,
            "topics": TOPICS,
            "dropoffs": DROPOFFS,
        },
    )


def _fill_evaluations(con: duckdb.DuckDBPyConnection, now: datetime, evaluated: Evaluated) -> None:
    """One row per call and evaluated metric, with the value in ``number`` or ``label``, by the metric's type."""
    con.execute(
        """
        CREATE TABLE evaluations AS
        WITH pairs AS (
          SELECT c.*, m.id AS metric_id, m.name AS metric_name, m.eval_type,
                 u(c.id, 'evaluated' || m.id) < m.share
                 AND (m.name IN (SELECT unnest($measured)) OR c.ts < $since
                      OR (($sample_rate >= 1 OR u(c.id, 'sampled') < $sample_rate)
                          AND (NOT $triggered OR c.call_ended_reason = $trigger)))
                   AS evaluated
          FROM calls c JOIN metrics m ON m.project = c.project
        )
        SELECT c.id AS call_id, metric_id, metric_name,
               CASE WHEN NOT evaluated THEN NULL ELSE CASE eval_type
                 WHEN 'binary'
                   THEN $passed * CAST(u(c.id, 'bin' || metric_id) < 0.55 + 0.25 * coalesce(success, false)::INT AS INT)
                 WHEN 'numeric' THEN CASE WHEN metric_name = 'Response latency'
                   THEN round(greatest(120, 900 * (1 + 0.3 * c.age) * exp(0.35 * gauss(c.id, 'lat'))), 0)
                   ELSE least(5, greatest(1, round(3.4 + 0.9 * coalesce(c.success, false)::INT
                        + 0.9 * gauss(c.id, 'csat')))) END
                 WHEN 'continuous_qualitative'
                   THEN round(least(100, greatest(0, 71 + 12 * gauss(c.id, 'emp'))), 1)
               END END AS number,
               CASE WHEN evaluated AND eval_type = 'enum' THEN
                 CASE WHEN u(c.id, 'mood') < 0.45 THEN 'positive' WHEN u(c.id, 'mood') < 0.8 THEN 'neutral'
                      WHEN u(c.id, 'mood') < 0.96 THEN 'negative' ELSE 'mixed' END END AS label
        FROM pairs c WHERE evaluated OR $placeholders
        """,
        {
            "passed": evaluated.passed,
            "measured": [*MEASURED],
            "since": now - timedelta(days=evaluated.since_days),
            "sample_rate": evaluated.sample_rate,
            "triggered": evaluated.triggered,
            "trigger": TRIGGER,
            "placeholders": evaluated.placeholders,
        },
    )
