#!/usr/bin/env bash
# jstat 1.9.6: the 99th percentile of ten calls is the second longest of them, and the middle quartile is no median.
#
# Guess before running: percentile 95 of 1 to 20 is 19.05 in jstat, stats-lite, simple-statistics, mathjs and d3-array.
# Seen: 19, 19.5 and three times 19.05. jstat interpolates up to the second largest value and stops there: of nine calls
# of 1 to 9 s and one of 100 s, percentiles 90 to 99 are all 9 s, where the others have 18 to 92 s or, in stats-lite,
# 54.5 and 100 s. With "exclusive" it jumps from 9 s to 100 s between percentiles 90 and 95, and percentile 100 is not a
# number. The middle one of its quartiles is 5, its median 5.5.
# Output seen (percentiles 90, 95, 99 and 100 of 1 to 9 and 100):
#   jstat: 9, 9, 9, 100
#   jstat, exclusive: 9, 100, 100, NaN
#   stats-lite: 54.5, 100, 100, 100
#   simple-statistics: 18.1, 59.05, 91.81, 100
#   mathjs: 18.1, 59.05, 91.81, 100
#   d3-array: 18.1, 59.05, 91.81, 100
#   jstat: quartiles 3, 5, 8; median 5.5
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{
  "private": true,
  "dependencies": {
    "d3-array": "3.2.5",
    "jstat": "1.9.6",
    "mathjs": "15.2.0",
    "simple-statistics": "7.12.1",
    "stats-lite": "2.2.0"
  }
}
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
cat >"$work/percentiles.mjs" <<'NODE'
import { quantile } from "d3-array";
import jstat from "jstat";
import { quantileSeq } from "mathjs";
import { quantile as simple } from "simple-statistics";
import lite from "stats-lite";

const { jStat } = jstat;
const seconds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 100];
const libraries = {
  jstat: (p) => jStat.percentile(seconds, p),
  "jstat, exclusive": (p) => jStat.percentile(seconds, p, true),
  "stats-lite": (p) => lite.percentile(seconds, p),
  "simple-statistics": (p) => simple(seconds, p),
  mathjs: (p) => quantileSeq(seconds, p),
  "d3-array": (p) => quantile(seconds, p),
};
for (const [name, percentile] of Object.entries(libraries))
  console.log(`${name}: ${[0.9, 0.95, 0.99, 1].map((p) => Math.round(100 * percentile(p)) / 100).join(", ")}`);
console.log(`jstat: quartiles ${jStat.quartiles(seconds).join(", ")}; median ${jStat.median(seconds)}`);
NODE
(cd "$work" && node percentiles.mjs) >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
jstat: 9, 9, 9, 100
jstat, exclusive: 9, 100, 100, NaN
stats-lite: 54.5, 100, 100, 100
simple-statistics: 18.1, 59.05, 91.81, 100
mathjs: 18.1, 59.05, 91.81, 100
d3-array: 18.1, 59.05, 91.81, 100
jstat: quartiles 3, 5, 8; median 5.5
SEEN
