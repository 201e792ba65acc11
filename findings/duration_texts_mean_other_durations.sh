#!/usr/bin/env bash
# pint 0.25.3, pytimeparse 1.1.10 and parse-duration 2.1.9: short texts for durations of calls mean something else.
#
# Guess before running: pint reads "12 min 30 s" as 750 s or refuses it. "1:30" is 90 s, "1h30" is an hour and a half.
# parse-duration was run on the same texts, and all on one with a comma.
# Seen: pint multiplies: 360 minutes times seconds, a value with the unit s². pytimeparse reads "1:30" as guessed, but
# not "1h30"; parse-duration reads "1h30", but "1:30" as 1.03 ms, since a number without a unit has the next smaller
# unit: one millisecond and 30 microseconds. Its comma separates thousands wherever it stands: "1,5h" is 15 hours.
# Output seen:
#   pint: 12 min 30 s is 21600 second ** 2
#   pytimeparse: 12 min 30 s is 750 s
#   pytimeparse: 1:30 is 90 s
#   pytimeparse: 1h30 is None s
#   pytimeparse: 1,5h is None s
#   parse-duration: 12 min 30 s is 750 s
#   parse-duration: 1:30 is 0.00103 s
#   parse-duration: 1h30 is 5400 s
#   parse-duration: 1,5h is 54000 s
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{ "private": true, "dependencies": { "parse-duration": "2.1.9" } }
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "pint==0.25.3" "pytimeparse==1.1.10"
cat >"$work/read.py" <<'PYTHON'
import pint
from pytimeparse import parse

print("pint: 12 min 30 s is", pint.UnitRegistry()("12 min 30 s").to_base_units())
for text in ("12 min 30 s", "1:30", "1h30", "1,5h"):
    print(f"pytimeparse: {text} is {parse(text)} s")
PYTHON
cat >"$work/read.mjs" <<'NODE'
import parse from "parse-duration";

for (const text of ["12 min 30 s", "1:30", "1h30", "1,5h"])
  console.log(`parse-duration: ${text} is ${parse(text) / 1000} s`);
NODE
{
  "$work/venv/bin/python" "$work/read.py"
  node "$work/read.mjs"
} >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
pint: 12 min 30 s is 21600 second ** 2
pytimeparse: 12 min 30 s is 750 s
pytimeparse: 1:30 is 90 s
pytimeparse: 1h30 is None s
pytimeparse: 1,5h is None s
parse-duration: 12 min 30 s is 750 s
parse-duration: 1:30 is 0.00103 s
parse-duration: 1h30 is 5400 s
parse-duration: 1,5h is 54000 s
SEEN
