#!/usr/bin/env bash
# vapi-server-sdk 3.0.0: a datetime without a zone is sent with today's offset, wrong for dates of the other season.
#
# Guess before running, for 1 July in New York: 09:00 is sent as UTC, or with the offset of July, -04:00.
# Seen: January and July are sent with the one offset that New York has on the day of the run. From November to March,
# calls since 1 July 09:00 are asked for from an hour later; from March to November, those of January from an hour
# earlier. The same line of code returns other calls after the clocks change. An aware datetime is sent as guessed.
# Output seen:
#   without a zone: an hour off in one of January and July: True
#   with New York's zone: 2026-01-15T09:00:00-05:00, 2026-07-01T09:00:00-04:00
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "vapi-server-sdk==3.0.0" "httpx==0.28.1" "tzdata==2025.2"
TZ=America/New_York "$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
from datetime import datetime
from zoneinfo import ZoneInfo

import httpx
from vapi import Vapi

NEW_YORK = ZoneInfo("America/New_York")
JANUARY, JULY = datetime(2026, 1, 15, 9), datetime(2026, 7, 1, 9)
sent = []


def answer(request):
    sent.append(request.url.params["createdAtGt"])
    return httpx.Response(200, json=[])


client = Vapi(token="token", httpx_client=httpx.Client(transport=httpx.MockTransport(answer)))
for since in (JANUARY, JULY, JANUARY.replace(tzinfo=NEW_YORK), JULY.replace(tzinfo=NEW_YORK)):
    client.calls.list(created_at_gt=since)
off = [abs(datetime.fromisoformat(naive) - datetime.fromisoformat(aware)) for naive, aware in zip(sent[:2], sent[2:])]
hours = sorted(difference.total_seconds() / 3600 for difference in off)
print("without a zone: an hour off in one of January and July:", hours == [0, 1])
print("with New York's zone:", ", ".join(sent[2:]))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
without a zone: an hour off in one of January and July: True
with New York's zone: 2026-01-15T09:00:00-05:00, 2026-07-01T09:00:00-04:00
SEEN
