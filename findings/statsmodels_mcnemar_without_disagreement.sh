#!/usr/bin/env bash
# statsmodels 0.15.0: McNemar's test of two judges that never disagree says that they differ for certain, p = 0.
#
# Guess before running, of the exact test alone: p = 1, which was right. The approximate test was run beside it;
# anybody would expect about the same of it.
# Seen: where no call is judged differently, the approximate test with its default correction divides by 0 and takes the
# infinite statistic for a certain difference. Without the correction p is not a number. With one disagreement it is 1.
# Output seen (disagreements each way; the exact test, the approximate one, and that without the correction):
#   0 and 0: 1.000, 0.000, nan
#   1 and 0: 1.000, 1.000, 0.317
#   1 and 1: 1.000, 0.480, 1.000
#   9 and 1: 0.021, 0.027, 0.011
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "statsmodels==0.15.0" "numpy==2.4.6" "scipy==1.17.1"
"$work/venv/bin/python" -W ignore - >"$work/seen.txt" <<'PYTHON'
from statsmodels.stats.contingency_tables import mcnemar

for one, other in ((0, 0), (1, 0), (1, 1), (9, 1)):
    table = [[60, one], [other, 40]]
    tests = (mcnemar(table), mcnemar(table, exact=False), mcnemar(table, exact=False, correction=False))
    print(f"{one} and {other}:", ", ".join(f"{test.pvalue:.3f}" for test in tests))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
0 and 0: 1.000, 0.000, nan
1 and 0: 1.000, 1.000, 0.317
1 and 1: 1.000, 0.480, 1.000
9 and 1: 0.021, 0.027, 0.011
SEEN
