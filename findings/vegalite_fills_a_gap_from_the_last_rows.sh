#!/usr/bin/env bash
# Vega-Lite 6.4 and 5.20 in vl-convert-python 1.9.0.post1: a missing day is filled with the values of other days.
#
# Guess before running, of impute without a frame alone: the mean of the whole series, which was right. The frame was
# tried beside it; anybody would expect the mean of the days before and after.
# Seen: where the row of day 3 is absent, "frame": [-1, 1] fills it with 100, the value of the last day, and not with
# 40, the mean of days 2 and 4; looking ahead alone it finds nothing. Vega-Lite puts the new rows at the end of the
# series, and counts the frame in that order, not by the key. Where the row is there with null, the fill is as guessed.
# Output seen (days 1, 2, 4 and 5 are 10, 20, 60 and 100):
#   6.4, frame [-1, 1]: absent 100, null 40
#   6.4, frame [-1, 0]: absent 100, null 20
#   6.4, frame [0, 1]: absent undefined, null 60
#   6.4, frame [-2, 2]: absent 80, null 47.5
#   6.4, frame [null, null]: absent 47.5, null 47.5
#   5.20, frame [-1, 1]: absent 100, null 40
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "vl-convert-python==1.9.0.post1"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import json

import vl_convert

DAYS = [{"day": day, "calls": calls} for day, calls in ((1, 10), (2, 20), (4, 60), (5, 100))]
WITH_NULL = [*DAYS[:2], {"day": 3, "calls": None}, *DAYS[2:]]


def fill(rows, frame, version):
    spec = {
        "data": {"values": rows},
        "transform": [
            {"impute": "calls", "key": "day", "keyvals": [3], "method": "mean", "frame": frame},
            {"filter": "datum.day == 3"},
            {"calculate": "'fill: ' + datum.calls", "as": "label"},
        ],
        "mark": "text",
        "encoding": {"text": {"field": "label"}},
    }
    scene = json.dumps(vl_convert.vegalite_to_scenegraph(spec, vl_version=version))
    return scene.partition('"fill: ')[2].partition('"')[0]


frames = {"6.4": ([-1, 1], [-1, 0], [0, 1], [-2, 2], [None, None]), "5.20": ([-1, 1],)}
for version, frame in ((version, frame) for version in frames for frame in frames[version]):
    absent, null = (fill(rows, frame, version) for rows in (DAYS, WITH_NULL))
    print(f"{version}, frame {json.dumps(frame)}: absent {absent}, null {null}")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
6.4, frame [-1, 1]: absent 100, null 40
6.4, frame [-1, 0]: absent 100, null 20
6.4, frame [0, 1]: absent undefined, null 60
6.4, frame [-2, 2]: absent 80, null 47.5
6.4, frame [null, null]: absent 47.5, null 47.5
5.20, frame [-1, 1]: absent 100, null 40
SEEN
