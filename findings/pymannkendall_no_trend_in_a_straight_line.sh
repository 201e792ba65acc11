#!/usr/bin/env bash
# pymannkendall 1.4.3: three of the five tests for one series see no trend in a straight line.
#
# Guess before running, of a constant series alone: no trend, p = 1, which was right. The straight line was tried beside
# it; anybody would expect "increasing", as no series has more of a trend.
# Seen: of 0, 1, 2 and so on to 29 the tests of Hamed and Rao and of Yue and Wang say "no trend" with p not a number,
# and the trend-free pre-whitening one "no trend" with p = 1. Each needs the correlation of what is left without the
# trend, which is constant here. One tenth added to the last value, and all say "increasing" with p below 0.001.
# Output seen:
#   original_test: increasing, p = 0.000; last value higher by 0.1: increasing, p = 0.000
#   hamed_rao_modification_test: no trend, p = nan; last value higher by 0.1: increasing, p = 0.000
#   yue_wang_modification_test: no trend, p = nan; last value higher by 0.1: increasing, p = 0.000
#   pre_whitening_modification_test: increasing, p = 0.000; last value higher by 0.1: increasing, p = 0.000
#   trend_free_pre_whitening_modification_test: no trend, p = 1.000; last value higher by 0.1: increasing, p = 0.000
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "pymannkendall==1.4.3" "numpy==2.4.6" "scipy==1.17.1"
"$work/venv/bin/python" -W ignore - >"$work/seen.txt" <<'PYTHON'
import pymannkendall

TESTS = (
    pymannkendall.original_test,
    pymannkendall.hamed_rao_modification_test,
    pymannkendall.yue_wang_modification_test,
    pymannkendall.pre_whitening_modification_test,
    pymannkendall.trend_free_pre_whitening_modification_test,
)
LINE = [float(value) for value in range(30)]

for test in TESTS:
    line, bent = (test(series) for series in (LINE, [*LINE[:-1], LINE[-1] + 0.1]))
    print(
        f"{test.__name__}: {line.trend}, p = {line.p:.3f};",
        f"last value higher by 0.1: {bent.trend}, p = {bent.p:.3f}",
    )
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
original_test: increasing, p = 0.000; last value higher by 0.1: increasing, p = 0.000
hamed_rao_modification_test: no trend, p = nan; last value higher by 0.1: increasing, p = 0.000
yue_wang_modification_test: no trend, p = nan; last value higher by 0.1: increasing, p = 0.000
pre_whitening_modification_test: increasing, p = 0.000; last value higher by 0.1: increasing, p = 0.000
trend_free_pre_whitening_modification_test: no trend, p = 1.000; last value higher by 0.1: increasing, p = 0.000
SEEN
