#!/usr/bin/env bash
# ECharts 6.1.0: on a time axis, stacked series are stacked by row number, not by day.
#
# Guess before running: the bar of a series that has no calls on the first day stands on the bar of the same day.
# Seen: the first row of each series is stacked on the first row of the one below, whatever their days. Calls that start
# one day later stand at the height of the day before: 10 calls on top of 2 end at 11. It is the same for lines and for
# an axis of numbers; on an axis of categories the stack is as guessed. The documentation of "stack" speaks of category
# axes; nothing warns on another.
# Output seen (the tops of the upper series, which is 10 and 20 over 2 and 3):
#   bar, time: 11, 22
#   line, time: 11, 22
#   line, value: 11, 22
#   bar, category: 12, 23
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{ "private": true, "dependencies": { "echarts": "6.1.0" } }
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
cat >"$work/stack.mjs" <<'NODE'
import * as echarts from "echarts";

const DAYS = { time: ["2026-01-01", "2026-01-02", "2026-01-03"], value: [1, 2, 3], category: ["a", "b", "c"] };

// the scale turns the drawn top of each point back into a value
function tops(type, axis) {
  const [first, second, third] = DAYS[axis];
  const chart = echarts.init(null, null, { renderer: "svg", ssr: true, width: 400, height: 300 });
  const below = { type, stack: "calls", data: [[first, 1], [second, 2], [third, 3]] };
  const above = { type, stack: "calls", data: [[second, 10], [third, 20]] };
  chart.setOption({ animation: false, xAxis: { type: axis }, yAxis: {}, series: [below, above] });
  const data = chart.getModel().getSeriesByIndex(1).getData();
  const drawn = [0, 1].map((row) => {
    const layout = data.getItemLayout(row) ?? {};
    const pixel = type === "bar" ? layout.y + Math.min(layout.height, 0) : data.getLayout("points")[2 * row + 1];
    return Math.round(chart.convertFromPixel({ yAxisIndex: 0 }, pixel));
  });
  chart.dispose();
  return drawn.join(", ");
}

for (const [type, axis] of [["bar", "time"], ["line", "time"], ["line", "value"], ["bar", "category"]])
  console.log(`${type}, ${axis}: ${tops(type, axis)}`);
NODE
(cd "$work" && node stack.mjs) >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
bar, time: 11, 22
line, time: 11, 22
line, value: 11, 22
bar, category: 12, 23
SEEN
