#!/usr/bin/env bash
# pydantic 2.14.4: a duration of 400 days is written as a year and 35 days, which others refuse or read as 401 days.
#
# Guess before running: pydantic refuses "P1M" as a timedelta, and msgspec reads "P1W"; both were wrong. What each
# writes was tried beside it; anybody would expect days, as a timedelta knows no year.
# Seen: pydantic writes "P1Y35D" and reads it as 400 days, with years of 365 and months of 30 days. msgspec 0.23.0
# writes "P400D", and refuses years, months and weeks. To isodate 0.7.2 "P1Y35D" is a calendar year and 35 days: 401
# days from 1 January 2028, a leap year. aniso8601 10.0.1 reads 400 days.
# Output seen:
#   pydantic writes "P1Y35D", msgspec "P400D"
#   P1Y35D: pydantic 400 days, msgspec ValidationError, isodate 401 days, aniso8601 400 days
#   P400D: pydantic 400 days, msgspec 400 days, isodate 400 days, aniso8601 400 days
#   P1M: pydantic 30 days, msgspec ValidationError, isodate 31 days, aniso8601 30 days
#   P1W: pydantic 7 days, msgspec ValidationError, isodate 7 days, aniso8601 7 days
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "pydantic==2.14.4" "msgspec==0.23.0" "isodate==0.7.2" "aniso8601==10.0.1"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
from datetime import datetime, timedelta

import aniso8601
import isodate
import msgspec
from pydantic import TypeAdapter

DURATION = TypeAdapter(timedelta)
START = datetime(2028, 1, 1)
READERS = {
    "pydantic": DURATION.validate_python,
    "msgspec": lambda text: msgspec.convert(text, timedelta),
    "isodate": isodate.parse_duration,
    "aniso8601": aniso8601.parse_duration,
}


def length(read, text):
    try:
        return f"{(START + read(text) - START).days} days"
    except msgspec.ValidationError as error:
        return type(error).__name__


written = [encode(timedelta(days=400)).decode() for encode in (DURATION.dump_json, msgspec.json.encode)]
print("pydantic writes {}, msgspec {}".format(*written))
for text in ("P1Y35D", "P400D", "P1M", "P1W"):
    print(f"{text}:", ", ".join(f"{name} {length(read, text)}" for name, read in READERS.items()))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
pydantic writes "P1Y35D", msgspec "P400D"
P1Y35D: pydantic 400 days, msgspec ValidationError, isodate 401 days, aniso8601 400 days
P400D: pydantic 400 days, msgspec 400 days, isodate 400 days, aniso8601 400 days
P1M: pydantic 30 days, msgspec ValidationError, isodate 31 days, aniso8601 30 days
P1W: pydantic 7 days, msgspec ValidationError, isodate 7 days, aniso8601 7 days
SEEN
