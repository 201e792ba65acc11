#!/usr/bin/env bash
# tdigest 0.5.2.2: percentiles lie below the least value, and the median of 95 zeros and 5 ones is not 0.
#
# Guess before running: percentiles 0, 50 and 100 of 1, 2 and 3 are these values, and percentile 99 of 1 to 100 is
# about 99. Percentile 1 of 1, 2 and 3 was 0.53, below them all; the data below show it better.
# Seen: of 95 zeros and 5 ones, percentile 0 is 0 but percentile 1 is -0.93, and the median is 0.05. Of three calls of
# 1 s and one of 100 s, percentile 1 is -71 s and 37 % of them take at most 0 s. Within the first cluster tdigest
# follows the line to the second, also to the left of all values. The percentiles of fastdigest 0.12.0 are as guessed,
# but by its "cdf" none of the 95 zeros is at most 0.
# Output seen (percentiles 0, 1, 25, 50 and 100; the share of the values that are at most 0):
#   95 zeros and 5 ones, tdigest: 0.00 -0.93 -0.45 0.05 1.00; at most 0: 0.47
#   95 zeros and 5 ones, fastdigest: 0.00 0.00 0.00 0.00 1.00; at most 0: 0.00
#   1, 1, 1 and 100, tdigest: 1.00 -71.27 -23.75 25.75 100.00; at most 0: 0.37
#   1, 1, 1 and 100, fastdigest: 1.00 1.00 1.00 1.00 100.00; at most 0: 0.00
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "tdigest==0.5.2.2" "fastdigest==0.12.0"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import fastdigest
import tdigest


def describe(digest):
    percentiles = " ".join(f"{digest.percentile(rank):.2f}" for rank in (0, 1, 25, 50, 100))
    return f"{percentiles}; at most 0: {digest.cdf(0):.2f}"


for name, values in {"95 zeros and 5 ones": [0.0] * 95 + [1.0] * 5, "1, 1, 1 and 100": [1.0, 1.0, 1.0, 100.0]}.items():
    digest = tdigest.TDigest()
    digest.batch_update(values)
    print(f"{name}, tdigest:", describe(digest))
    print(f"{name}, fastdigest:", describe(fastdigest.TDigest.from_values(values)))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
95 zeros and 5 ones, tdigest: 0.00 -0.93 -0.45 0.05 1.00; at most 0: 0.47
95 zeros and 5 ones, fastdigest: 0.00 0.00 0.00 0.00 1.00; at most 0: 0.00
1, 1, 1 and 100, tdigest: 1.00 -71.27 -23.75 25.75 100.00; at most 0: 0.37
1, 1, 1 and 100, fastdigest: 1.00 1.00 1.00 1.00 100.00; at most 0: 0.00
SEEN
