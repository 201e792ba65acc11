#!/usr/bin/env bash
# statsmodels 0.15.0: the score interval for two rates leaves out the ratio that it is for, or cannot be computed.
#
# Guess before running, of 0/10 beside 0/10 alone: an interval that is symmetrical. It raised an error, and the pairs
# below were tried next, without a guess of their own; anybody would expect an interval around the estimate.
# Seen: where the second rate is 100 %, the interval of the ratio may lie above the ratio, in complex numbers: for 40/50
# by 50/50, which is 0.8, it is the point 0.9; that for 97/100 by 100/100 starts at 0.985 and holds 1. Often there
# is no interval of a difference: the root finder gives up, for 0/10 minus 5/10, but not for 5/10 minus 0/10.
# Output seen:
#   40/50 by 50/50 = 0.80: 0.900 to 0.900, complex numbers
#   97/100 by 100/100 = 0.97: 0.985 to 1.008, complex numbers
#   10/10 by 10/10 = 1.00: 1.000 to 1.404
#   0/10 minus 5/10 = -0.50: ValueError
#   5/10 minus 0/10 = 0.50: 0.166 to 0.768
#   97/100 minus 100/100 = -0.03: ValueError
#   differences of counts of 20 without an interval: 174 of 441
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "statsmodels==0.15.0" "numpy==2.4.6" "scipy==1.17.1"
"$work/venv/bin/python" -W ignore - >"$work/seen.txt" <<'PYTHON'
from statsmodels.stats.proportion import confint_proportions_2indep


def interval(compare, *counts):
    try:
        low, high = confint_proportions_2indep(*counts, compare=compare, method="score")
    except ValueError:
        return "ValueError"
    return f"{low.real:.3f} to {high.real:.3f}" + ", complex numbers" * isinstance(low, complex)


for counts in ((40, 50, 50, 50), (97, 100, 100, 100), (10, 10, 10, 10)):
    first, n, second, m = counts
    print(f"{first}/{n} by {second}/{m} = {first / n / (second / m):.2f}:", interval("ratio", *counts))
for counts in ((0, 10, 5, 10), (5, 10, 0, 10), (97, 100, 100, 100)):
    first, n, second, m = counts
    print(f"{first}/{n} minus {second}/{m} = {first / n - second / m:.2f}:", interval("diff", *counts))
pairs = [(first, 20, second, 20) for first in range(21) for second in range(21)]
without = sum(interval("diff", *pair) == "ValueError" for pair in pairs)
print(f"differences of counts of 20 without an interval: {without} of {len(pairs)}")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
40/50 by 50/50 = 0.80: 0.900 to 0.900, complex numbers
97/100 by 100/100 = 0.97: 0.985 to 1.008, complex numbers
10/10 by 10/10 = 1.00: 1.000 to 1.404
0/10 minus 5/10 = -0.50: ValueError
5/10 minus 0/10 = 0.50: 0.166 to 0.768
97/100 minus 100/100 = -0.03: ValueError
differences of counts of 20 without an interval: 174 of 441
SEEN
