#!/usr/bin/env bash
# deepdiff 9.1.0: 1 that becomes true is a change under a key, and none in a list; to two others it is never a change.
#
# Guess before running: none was written. Anybody would expect 1 and true of JSON to be different wherever they stand.
# Seen: deepdiff aligns lists of plain values with difflib, to which 1 equals True, as in Python, and compares types
# only where the values differ. With ignore_order=True it reports the change in lists as well. jsondiff 2.2.1 and
# dictdiffer 0.10.0 report no such change. All report 1 that becomes the text "1".
# Output seen:
#   {"field": 1} to {"field": true}: deepdiff 1, ignore_order 1, jsondiff 0, dictdiffer 0
#   {"field": [1]} to {"field": [true]}: deepdiff 0, ignore_order 1, jsondiff 0, dictdiffer 0
#   {"field": [0, 5]} to {"field": [false, 5]}: deepdiff 0, ignore_order 1, jsondiff 0, dictdiffer 0
#   [{"field": 1}] to [{"field": true}]: deepdiff 1, ignore_order 1, jsondiff 0, dictdiffer 0
#   {"field": [1]} to {"field": ["1"]}: deepdiff 1, ignore_order 1, jsondiff 1, dictdiffer 1
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "deepdiff==9.1.0" "jsondiff==2.2.1" "dictdiffer==0.10.0"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import json

import dictdiffer
import jsondiff
from deepdiff import DeepDiff

DIFFERENCES = {
    "deepdiff": DeepDiff,
    "ignore_order": lambda old, new: DeepDiff(old, new, ignore_order=True),
    "jsondiff": jsondiff.diff,
    "dictdiffer": lambda old, new: list(dictdiffer.diff(old, new)),
}
PAIRS = (
    ('{"field": 1}', '{"field": true}'),
    ('{"field": [1]}', '{"field": [true]}'),
    ('{"field": [0, 5]}', '{"field": [false, 5]}'),
    ('[{"field": 1}]', '[{"field": true}]'),
    ('{"field": [1]}', '{"field": ["1"]}'),
)
for old, new in PAIRS:
    counts = (f"{name} {len(find(json.loads(old), json.loads(new)))}" for name, find in DIFFERENCES.items())
    print(f"{old} to {new}:", ", ".join(counts))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
{"field": 1} to {"field": true}: deepdiff 1, ignore_order 1, jsondiff 0, dictdiffer 0
{"field": [1]} to {"field": [true]}: deepdiff 0, ignore_order 1, jsondiff 0, dictdiffer 0
{"field": [0, 5]} to {"field": [false, 5]}: deepdiff 0, ignore_order 1, jsondiff 0, dictdiffer 0
[{"field": 1}] to [{"field": true}]: deepdiff 1, ignore_order 1, jsondiff 0, dictdiffer 0
{"field": [1]} to {"field": ["1"]}: deepdiff 1, ignore_order 1, jsondiff 1, dictdiffer 1
SEEN
