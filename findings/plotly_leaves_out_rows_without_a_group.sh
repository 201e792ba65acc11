#!/usr/bin/env bash
# plotly 7.1.0: rows without a colour, symbol, facet or line group are left out of the chart; only a pie keeps them.
#
# Guess before running: the rows whose colour is None are drawn, as a group of their own or without a name.
# Seen: Plotly Express leaves them out of lines, bars, points, histograms and boxes, without a warning: here four of ten
# calls. Its pie keeps them, one slice for each row, all named "nan". With None as a text, all calls are drawn.
# Output seen (calls drawn, of 10):
#   line 6, bar 6, scatter 6, histogram 6, box 6
#   by symbol 6, by facet 6, by line group 6
#   pie 10, slices a, nan, b, nan
#   bar, None as a text 10
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "plotly==7.1.0" "numpy==2.4.6" "pandas==3.1.1"
"$work/venv/bin/python" -W error - >"$work/seen.txt" <<'PYTHON'
import pandas as pd
import plotly.express as px

calls = pd.DataFrame({"day": [1, 2, 3, 4], "calls": [1, 1, 5, 3], "end": ["a", None, "b", None]})
KINDS = (px.line, px.bar, px.scatter, px.histogram, px.box)


def drawn(figure):
    return sum(int(sum(trace.y)) for trace in figure.data)


print(", ".join(f"{kind.__name__} {drawn(kind(calls, x='day', y='calls', color='end'))}" for kind in KINDS))
print(
    f"by symbol {drawn(px.scatter(calls, x='day', y='calls', symbol='end'))},"
    f" by facet {drawn(px.scatter(calls, x='day', y='calls', facet_col='end'))},"
    f" by line group {drawn(px.line(calls, x='day', y='calls', line_group='end'))}"
)
pie = px.pie(calls, names="end", values="calls").data[0]
print(f"pie {int(sum(pie['values']))}, slices {', '.join(str(label) for label in pie.labels)}")
print("bar, None as a text", drawn(px.bar(calls.fillna({"end": "none"}), x="day", y="calls", color="end")))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
line 6, bar 6, scatter 6, histogram 6, box 6
by symbol 6, by facet 6, by line group 6
pie 10, slices a, nan, b, nan
bar, None as a text 10
SEEN
