#!/usr/bin/env bash
# croniter 7.0.0, cronsim 2.8, croner 11.0.1 and cron-parser 5.10.6: four readings of one expression at a clock change.
#
# Guess before running: a daily run at 01:30 runs once on the day that has 01:30 twice. One at 02:30, an hour that the
# spring day lacks, runs at 03:30 or not at all. All four agree about days of the month with days of the week.
# Seen: croniter runs at 01:30 twice, so that a daily report is sent twice; the others once. The run at 02:30 is moved
# to 03:00, by cron-parser to 03:30. "*/2" in the days of the month with a weekday beside means either for croniter,
# croner and cron-parser, and both at once for cronsim, as in Vixie's cron: 18 runs in January, or 2.
# Output seen (New York: runs of 1 November at 01:30; the run of 8 March for 02:30; runs of "0 0 */2 * 1" in January):
#   croniter: 01:30 EDT and 01:30 EST; 03:00 EDT; 18
#   cronsim: 01:30 EDT; 03:00 EDT; 2
#   croner: 01:30 EDT; 03:00 EDT; 18
#   cron-parser: 01:30 EDT; 03:30 EDT; 18
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/package.json" <<'JSON'
{ "private": true, "dependencies": { "cron-parser": "5.10.6", "croner": "11.0.1" } }
JSON
npm install --silent --no-fund --no-audit --prefix "$work" >/dev/null
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "croniter==7.0.0" "cronsim==2.8" "tzdata==2025.2"
cat >"$work/runs.py" <<'PYTHON'
from datetime import datetime
from zoneinfo import ZoneInfo

from croniter import croniter
from cronsim import CronSim

NEW_YORK = ZoneInfo("America/New_York")


def show(name, iterate):
    def runs(expression, first, last):
        times = iterate(expression, datetime.fromisoformat(first).replace(tzinfo=NEW_YORK))
        end = datetime.fromisoformat(last).replace(tzinfo=NEW_YORK)
        inside = []
        while (moment := next(times)).timestamp() < end.timestamp():
            inside.append(moment)
        return inside

    autumn = runs("30 1 * * *", "2026-10-31T12:00", "2026-11-01T12:00")
    spring = runs("30 2 * * *", "2026-03-07T12:00", "2026-03-08T12:00")
    january = runs("0 0 */2 * 1", "2025-12-31T12:00", "2026-02-01T00:00")
    clocks = [" and ".join(f"{moment:%H:%M %Z}" for moment in moments) for moments in (autumn, spring)]
    print(f"{name}: {clocks[0]}; {clocks[1]}; {len(january)}")


show("croniter", lambda expression, start: croniter(expression, start, ret_type=datetime))
show("cronsim", CronSim)
PYTHON
cat >"$work/runs.mjs" <<'NODE'
import { CronExpressionParser } from "cron-parser";
import { Cron } from "croner";

const timezone = "America/New_York";
const clock = new Intl.DateTimeFormat("en-GB", { timeZone: timezone, hour: "2-digit", minute: "2-digit" });
const zone = new Intl.DateTimeFormat("en-US", { timeZone: timezone, timeZoneName: "short" });
const shown = (moment) => `${clock.format(moment)} ${zone.format(moment).split(" ").at(-1)}`;

function show(name, following) {
  const runs = (expression, first, last) => {
    const inside = [];
    let at = following(expression, new Date(first));
    for (; at < new Date(last); at = following(expression, at)) inside.push(at);
    return inside;
  };
  const autumn = runs("30 1 * * *", "2026-10-31T12:00-04:00", "2026-11-01T12:00-05:00");
  const spring = runs("30 2 * * *", "2026-03-07T12:00-05:00", "2026-03-08T12:00-04:00");
  const january = runs("0 0 */2 * 1", "2025-12-31T12:00-05:00", "2026-02-01T00:00-05:00");
  console.log(`${name}: ${autumn.map(shown).join(" and ")}; ${spring.map(shown).join(" and ")}; ${january.length}`);
}

show("croner", (expression, after) => new Cron(expression, { timezone }).nextRun(after));
show("cron-parser", (expression, after) =>
  CronExpressionParser.parse(expression, { currentDate: after, tz: timezone }).next().toDate());
NODE
{
  "$work/venv/bin/python" "$work/runs.py"
  node "$work/runs.mjs"
} >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
croniter: 01:30 EDT and 01:30 EST; 03:00 EDT; 18
cronsim: 01:30 EDT; 03:00 EDT; 2
croner: 01:30 EDT; 03:00 EDT; 18
cron-parser: 01:30 EDT; 03:30 EDT; 18
SEEN
