#!/usr/bin/env bash
# pingouin 0.7.0: Cramér's V of a perfect association of two groups is not 1: below it, or above it up to 3.04.
#
# Guess before running: two agents whose calls all end in one of two ways, each in its own, have V = 1 in each row.
# Seen: of 40 calls, V is 0.95 by Pearson's statistic, since Yates' correction is on by default and enters V as well; of
# 6 calls it is 0.67. The other statistics of the table have a V too, which is above 1 in four of six rows. Without the
# correction Pearson's V is 1. The effect of a t-test beside has no sign either: a fall has a positive d.
# Output seen (V of pearson, cressie-read, log-likelihood, freeman-tukey, mod-log-likelihood and neyman; T and d):
#   40 calls: 0.95, 0.97, 1.07, 1.23, 1.53, 3.04
#   6 calls: 0.67, 0.67, 0.70, 0.73, 0.77, 0.89
#   40 calls, pearson without the correction: 1.00
#   a fall: T = -13.0, d = 2.15
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "pingouin==0.7.0" "numpy==2.4.6" "pandas==3.1.1" "scipy==1.17.1"
"$work/venv/bin/python" -W ignore - >"$work/seen.txt" <<'PYTHON'
import pandas as pd
import pingouin as pg


def effects(calls, **settings):
    rows = pd.DataFrame({"agent": ["a"] * calls + ["b"] * calls, "end": ["hung up"] * calls + ["voicemail"] * calls})
    table = pg.chi2_independence(rows, "agent", "end", **settings)[2]
    return [f"{effect:.2f}" for effect in table["cramer"]]


print("40 calls:", ", ".join(effects(20)))
print("6 calls:", ", ".join(effects(3)))
print("40 calls, pearson without the correction:", effects(20, correction=False)[0])
fall = pg.ttest([1, 2, 3, 4], [4, 5, 6, 8], paired=True)
print(f"a fall: T = {fall['T'].iloc[0]:.1f}, d = {fall['cohen_d'].iloc[0]:.2f}")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
40 calls: 0.95, 0.97, 1.07, 1.23, 1.53, 3.04
6 calls: 0.67, 0.67, 0.70, 0.73, 0.77, 0.89
40 calls, pearson without the correction: 1.00
a fall: T = -13.0, d = 2.15
SEEN
