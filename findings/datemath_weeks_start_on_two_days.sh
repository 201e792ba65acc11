#!/usr/bin/env bash
# @elastic/datemath 5.0.3, relative-time-parser 1.0.15 and python-datemath 3.0.3: "now/w" is not the same week for each.
#
# Guess before running: each starts the week on Monday, as Elasticsearch does, whose notation this is.
# Seen: python-datemath starts it on Monday, the two for JavaScript on Sunday, since they take the week of moment's
# locale, which is English unless set. On a Sunday, this week and the last have one day in common between the two.
# Rounded up, the week ends a microsecond before the next one in Python, a millisecond before it in JavaScript.
# Output seen:
#   python-datemath: now/w is Mon 11-23 to Sun 11-29 23:59:59.999999
#   python-datemath: now-1w/w is Mon 11-16 to Sun 11-22 23:59:59.999999
#   @elastic/datemath: now/w is Sun 11-29 to Sat 12-05 23:59:59.999
#   @elastic/datemath: now-1w/w is Sun 11-22 to Sat 11-28 23:59:59.999
#   relative-time-parser: now/w starts Sun 11-29
#   relative-time-parser: now-1w/w starts Sun 11-22
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{
  "private": true,
  "dependencies": { "@elastic/datemath": "5.0.3", "moment": "2.30.1", "relative-time-parser": "1.0.15" }
}
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "python-datemath==3.0.3" "arrow==1.3.0"
cat >"$work/weeks.py" <<'PYTHON'
import arrow
from datemath import dm

sunday = arrow.get("2026-11-29T12:00:00+00:00")
for text in ("now/w", "now-1w/w"):
    start, end = dm(text, now=sunday), dm(text, now=sunday, roundDown=False)
    print(f"python-datemath: {text} is {start:ddd MM-DD} to {end:ddd MM-DD HH:mm:ss.SSSSSS}")
PYTHON
cat >"$work/weeks.mjs" <<'NODE'
import datemath from "@elastic/datemath";
import moment from "moment";
import relative from "relative-time-parser";

const sunday = new Date("2026-11-29T12:00:00Z");
const parse = datemath.parse ?? datemath.default.parse;
for (const text of ["now/w", "now-1w/w"]) {
  const [start, end] = [false, true].map((roundUp) => parse(text, { forceNow: sunday, roundUp }));
  console.log(`@elastic/datemath: ${text} is ${start.format("ddd MM-DD")} to ${end.format("ddd MM-DD HH:mm:ss.SSS")}`);
}
for (const text of ["now/w", "now-1w/w"]) {
  const start = relative(sunday).relativeTime(text.slice(3));
  console.log(`relative-time-parser: ${text} starts ${start.format("ddd MM-DD")}`);
}
NODE
{
  "$work/venv/bin/python" "$work/weeks.py"
  TZ=UTC node "$work/weeks.mjs"
} >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
python-datemath: now/w is Mon 11-23 to Sun 11-29 23:59:59.999999
python-datemath: now-1w/w is Mon 11-16 to Sun 11-22 23:59:59.999999
@elastic/datemath: now/w is Sun 11-29 to Sat 12-05 23:59:59.999
@elastic/datemath: now-1w/w is Sun 11-22 to Sat 11-28 23:59:59.999
relative-time-parser: now/w starts Sun 11-29
relative-time-parser: now-1w/w starts Sun 11-22
SEEN
