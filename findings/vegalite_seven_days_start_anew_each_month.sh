#!/usr/bin/env bash
# Vega-Lite 6.4 and 5.20 in vl-convert-python 1.9.0.post1: bars of seven days start anew on the first of each month.
#
# Guess before running: none was written. Anybody would expect "step": 7 of "yearmonthdate" to make bars of seven days.
# Seen: the days are counted from the first of the month. The bar from the 29th has one to three days of data, but its
# end is drawn seven days later, over the bar of the next month; one call a day looks like a fall at the end of each
# month. "yeardayofyear" with the same step counts through the months.
# Output seen, first day, end as drawn and calls of each bar, with one call a day:
#   6.4 yearmonthdate: 01-22 to 01-29 7, 01-29 to 02-05 3, 02-01 to 02-08 7
#   6.4 yeardayofyear: 01-22 to 01-29 7, 01-29 to 02-05 7
#   5.20 yearmonthdate: 01-22 to 01-29 7, 01-29 to 02-05 3, 02-01 to 02-08 7
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "vl-convert-python==1.9.0.post1"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import json
import re
from datetime import date, timedelta

import vl_convert


def bars(unit, days, version):
    first = date(2026, 1, 22)
    # a time in each text, because a text with a day alone is read as UTC
    rows = [{"day": f"{first + timedelta(day)}T12:00:00", "calls": 1} for day in range(days)]
    spec = {
        "data": {"values": rows},
        "transform": [
            {"timeUnit": {"unit": unit, "step": 7}, "field": "day", "as": "begin"},
            {"aggregate": [{"op": "sum", "field": "calls", "as": "calls"}], "groupby": ["begin", "begin_end"]},
            {
                "calculate": "'bar: ' + timeFormat(datum.begin, '%m-%d') + ' to '"
                " + timeFormat(datum.begin_end, '%m-%d') + ' ' + datum.calls",
                "as": "label",
            },
        ],
        "mark": "text",
        "encoding": {"text": {"field": "label"}},
    }
    scene = json.dumps(vl_convert.vegalite_to_scenegraph(spec, vl_version=version))
    return ", ".join(re.findall('"bar: ([^"]+)"', scene))


print("6.4 yearmonthdate:", bars("yearmonthdate", 17, "6.4"))
print("6.4 yeardayofyear:", bars("yeardayofyear", 14, "6.4"))
print("5.20 yearmonthdate:", bars("yearmonthdate", 17, "5.20"))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
6.4 yearmonthdate: 01-22 to 01-29 7, 01-29 to 02-05 3, 02-01 to 02-08 7
6.4 yeardayofyear: 01-22 to 01-29 7, 01-29 to 02-05 7
5.20 yearmonthdate: 01-22 to 01-29 7, 01-29 to 02-05 3, 02-01 to 02-08 7
SEEN
