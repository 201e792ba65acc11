#!/usr/bin/env bash
# twilio 9.13.0: a filter of calls sends the clock time of an aware datetime as UTC, so the window moves by hours.
#
# Guess before running: calls since 14:00 at two hours east of UTC are asked for since 12:00 UTC; the duration of a call
# is a whole number, and its price a number.
# Seen: the offset is dropped and a "Z" written after the local clock time. The calls of two hours are missing, with no
# error. The same datetime in UTC is sent as guessed. Duration and price are texts, so sorting them sorts by characters.
# Output seen:
#   14:00+02:00 is sent as 2026-11-26T14:00:00Z
#   12:00+00:00 is sent as 2026-11-26T12:00:00Z
#   duration '72', price '-0.0085'
#   longest of 9 s and 72 s: 9 s
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "twilio==9.13.0"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import json
from datetime import UTC, datetime, timedelta, timezone

from twilio.http import HttpClient
from twilio.http.response import Response
from twilio.rest import Client

CALLS = [{"sid": "CA1", "duration": "72", "price": "-0.0085"}, {"sid": "CA2", "duration": "9", "price": "-0.0085"}]


class Local(HttpClient):
    def __init__(self):
        self.params = []

    def request(self, method, url, params=None, **rest):
        self.params.append(params)
        return Response(200, json.dumps({"calls": CALLS, "next_page_uri": None}))


http = Local()
client = Client("AC1", "token", http_client=http)
noon = datetime(2026, 11, 26, 12, tzinfo=UTC)
for since in (noon.astimezone(timezone(timedelta(hours=2))), noon):
    calls = client.calls.list(start_time_after=since)
    print(f"{since:%H:%M}{since.isoformat()[-6:]} is sent as {http.params[-1]['StartTime>']}")
print(f"duration {calls[0].duration!r}, price {calls[0].price!r}")
print("longest of 9 s and 72 s:", max(call.duration for call in calls), "s")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
14:00+02:00 is sent as 2026-11-26T14:00:00Z
12:00+00:00 is sent as 2026-11-26T12:00:00Z
duration '72', price '-0.0085'
longest of 9 s and 72 s: 9 s
SEEN
