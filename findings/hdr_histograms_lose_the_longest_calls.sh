#!/usr/bin/env bash
# hdrhistogram 0.10.8, beside hdr-histogram-js 3.0.1: the longest calls are left out of percentiles without an error.
#
# Guess before running: a value above the limit of a histogram raises an error, or counts as the limit, and is in the
# total. No guess was written for fractions; anybody would expect rounding.
# Seen: Python's record_value returns False and counts nothing. With eight calls of a minute and two of three hours, in
# a histogram of up to an hour, the total is 8 and percentile 99 is a minute. The JavaScript histogram throws, as
# guessed, if it may not grow. Both cut fractions: 0.9, 1.9, 2.9 and 3.9 s have the mean 1.5 s, where it is 2.4 s;
# seconds have to be recorded as milliseconds.
# Output seen:
#   Python, three hours: False; total 8, p99 60 s
#   Python, fractions: mean 1.5, median 1, largest 3
#   JavaScript, three hours: Value 10800 is outside of histogram covered range
#   JavaScript, fractions: mean 1.5, median 1, largest 3.9
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{ "private": true, "dependencies": { "hdr-histogram-js": "3.0.1" } }
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "hdrhistogram==0.10.8"
{
  "$work/venv/bin/python" - <<'PYTHON'
from hdrh.histogram import HdrHistogram

HOUR = 3600

histogram = HdrHistogram(1, HOUR, 3)
kept = [histogram.record_value(seconds) for seconds in [60] * 8 + [3 * HOUR] * 2]
p99 = histogram.get_value_at_percentile(99)
print(f"Python, three hours: {kept[-1]}; total {histogram.get_total_count()}, p99 {p99} s")
histogram = HdrHistogram(1, HOUR, 3)
for seconds in (0.9, 1.9, 2.9, 3.9):
    histogram.record_value(seconds)
median = histogram.get_value_at_percentile(50)
print(f"Python, fractions: mean {histogram.get_mean_value()}, median {median}, largest {histogram.get_max_value()}")
PYTHON
  cd "$work"
  node --input-type=module - <<'NODE'
import hdr from "hdr-histogram-js";

const long = hdr.build({ highestTrackableValue: 3600, autoResize: false });
try {
  long.recordValue(3 * 3600);
  console.log("JavaScript, three hours:", long.totalCount);
} catch (error) {
  console.log("JavaScript, three hours:", error.message);
}
const short = hdr.build();
for (const seconds of [0.9, 1.9, 2.9, 3.9]) short.recordValue(seconds);
const median = short.getValueAtPercentile(50);
console.log(`JavaScript, fractions: mean ${short.mean}, median ${median}, largest ${short.maxValue}`);
NODE
} >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
Python, three hours: False; total 8, p99 60 s
Python, fractions: mean 1.5, median 1, largest 3
JavaScript, three hours: Value 10800 is outside of histogram covered range
JavaScript, fractions: mean 1.5, median 1, largest 3.9
SEEN
