#!/usr/bin/env bash
# perspective-python 5.6.1: one null makes the low 0, the max null, and moves the median; whole numbers have no halves.
#
# Guess before running: the mean leaves nulls out, and so do the other aggregates; the median of 1, 2, 3 and 10 is 2.5.
# Seen: the mean of 1, 2, 10 and null is as guessed, but the median is between 2 and 10, as if null were the largest.
# Null is the smallest for "low" and "high", which make it 0: the low of positive values, the high of negative ones.
# "max" has no value and "min" has. The median and quartiles of a column of integers are values of the upper row, those
# of the same numbers as floats lie between two rows.
# Output seen (mean, median, first quartile, low, high, min and max):
#   floats 1, 2, 10: 4.33, 2.0, 1.0, 1.0, 10.0, 1.0, 10.0
#   floats 1, 2, 10, null: 4.33, 6.0, 1.5, 0.0, 10.0, 1.0, None
#   floats -5, -1, null: -3.00, -1.0, -5.0, -5.0, 0.0, -5.0, None
#   integers 1, 2, 3, 10: 4.00, 3, 2, 1, 10, 1, 10
#   floats 1, 2, 3, 10: 4.00, 2.5, 1.5, 1.0, 10.0, 1.0, 10.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "perspective-python==5.6.1"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import perspective

AGGREGATES = ("mean", "median", "q1", "low", "high", "min", "max")
client = perspective.Server().new_local_client()


def show(kind, values):
    table = client.table({"calls": "float" if kind == "floats" else "integer"})
    table.update({"calls": values})
    results = []
    for aggregate in AGGREGATES:
        view = table.view(
            expressions={"all": "'all'"}, group_by=["all"], columns=["calls"], aggregates={"calls": aggregate}
        )
        results.append(view.to_columns()["calls"][1])
    names = ", ".join("null" if value is None else f"{value:g}" for value in values)
    print(f"{kind} {names}: {results[0]:.2f}, {', '.join(str(result) for result in results[1:])}")


show("floats", [1.0, 2.0, 10.0])
show("floats", [1.0, 2.0, 10.0, None])
show("floats", [-5.0, -1.0, None])
show("integers", [1, 2, 3, 10])
show("floats", [1.0, 2.0, 3.0, 10.0])
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
floats 1, 2, 10: 4.33, 2.0, 1.0, 1.0, 10.0, 1.0, 10.0
floats 1, 2, 10, null: 4.33, 6.0, 1.5, 0.0, 10.0, 1.0, None
floats -5, -1, null: -3.00, -1.0, -5.0, -5.0, 0.0, -5.0, None
integers 1, 2, 3, 10: 4.00, 3, 2, 1, 10, 1, 10
floats 1, 2, 3, 10: 4.00, 2.5, 1.5, 1.0, 10.0, 1.0, 10.0
SEEN
