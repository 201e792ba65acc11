#!/usr/bin/env bash
# DuckDB 2.0.1: how long it is from one instant to another depends on the time zone of the session.
#
# Guess before running: none of a difference, which was printed beside buckets and ranges, but anybody would expect the
# time that passed, as a TIMESTAMPTZ is an instant; of date_diff in hours, 2 for two hours across a clock change.
# Seen: the instants are 25 hours apart. In a session in New York, where the clock changes between them, their
# difference is 1 day, and "epoch" of it is 86,400 s; in UTC, London and Tokyo it is 1 day and 1 hour. Within a day the
# difference is right, but date_diff counts two hours across the change as 1. The difference of the epochs is right
# throughout.
# Output seen (the difference; its seconds; the difference of the epochs; date_diff in hours):
#   UTC: 1 day 01:00:00; 90000; 90000; 25
#   Europe/London: 1 day 01:00:00; 90000; 90000; 25
#   Asia/Tokyo: 1 day 01:00:00; 90000; 90000; 25
#   America/New_York: 1 day; 86400; 90000; 25
#   America/New_York, one day: 02:00:00; 7200; 7200; 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "duckdb==2.0.1" "pytz==2026.6"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import duckdb

QUERY = """
SELECT (later - earlier)::VARCHAR, epoch(later - earlier)::INT, (epoch(later) - epoch(earlier))::INT,
    date_diff('hour', earlier, later)
FROM (SELECT $1::TIMESTAMPTZ AS earlier, $2::TIMESTAMPTZ AS later)
"""
connection = duckdb.connect()


def show(label, zone, earlier, later):
    connection.execute(f"SET TimeZone = '{zone}'")
    print(f"{label}:", "; ".join(map(str, connection.execute(QUERY, [earlier, later]).fetchone())))


for zone in ("UTC", "Europe/London", "Asia/Tokyo", "America/New_York"):
    show(zone, zone, "2026-11-01 04:00:00+00", "2026-11-02 05:00:00+00")
show("America/New_York, one day", "America/New_York", "2026-11-01 05:30:00+00", "2026-11-01 07:30:00+00")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
UTC: 1 day 01:00:00; 90000; 90000; 25
Europe/London: 1 day 01:00:00; 90000; 90000; 25
Asia/Tokyo: 1 day 01:00:00; 90000; 90000; 25
America/New_York: 1 day; 86400; 90000; 25
America/New_York, one day: 02:00:00; 7200; 7200; 1
SEEN
