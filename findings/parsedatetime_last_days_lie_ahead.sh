#!/usr/bin/env bash
# parsedatetime 2.6: "last 7 days" is a time in seven days, and "last week" one a week ago; dateparser 1.5.0 reads none.
#
# Guess before running: none was written. Anybody would expect "last 7 days" to be no later than now, or unreadable.
# Seen: parsedatetime reads "last", "past" and "previous" before a number as if they were not there, so that the time
# lies ahead by that much, and reports that it has understood the text. "7 days ago" and "last week" lie in the past.
# dateparser gives None for each text with a number after "last", and for "previous 2 weeks".
# Output seen, in days from now:
#   last 7 days: parsedatetime +7, dateparser None
#   last 24 hours: parsedatetime +1, dateparser None
#   past 30 days: parsedatetime +30, dateparser None
#   previous 2 weeks: parsedatetime +14, dateparser None
#   7 days ago: parsedatetime -7, dateparser -7
#   last week: parsedatetime -7, dateparser -7
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "parsedatetime==2.6" "dateparser==1.5.0"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
from datetime import datetime

import dateparser
import parsedatetime

# nine in the morning, because parsedatetime sets "last week" to that hour
NOW = datetime(2026, 11, 18, 9)


def days(time):
    return None if time is None else f"{(time - NOW).total_seconds() / 86400:+g}"


calendar = parsedatetime.Calendar()
for text in ("last 7 days", "last 24 hours", "past 30 days", "previous 2 weeks", "7 days ago", "last week"):
    time, understood = calendar.parseDT(text, sourceTime=NOW)
    other = dateparser.parse(text, settings={"RELATIVE_BASE": NOW})
    print(f"{text}: parsedatetime {days(time if understood else None)}, dateparser {days(other)}")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
last 7 days: parsedatetime +7, dateparser None
last 24 hours: parsedatetime +1, dateparser None
past 30 days: parsedatetime +30, dateparser None
previous 2 weeks: parsedatetime +14, dateparser None
7 days ago: parsedatetime -7, dateparser -7
last week: parsedatetime -7, dateparser -7
SEEN
