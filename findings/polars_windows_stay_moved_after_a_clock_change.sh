#!/usr/bin/env bash
# polars 2.1.0: after a clock change, group_by_dynamic(every="6h") stays an hour off what truncate("6h") makes.
#
# Guess before running: none was written. Anybody would expect the same "6h" to make the same windows in both, or the
# windows to return to midnight on the next day, as those of "1d" do.
# Seen: truncate cuts the local day at 0, 6, 12 and 18 h, and its window with the change has 7 hours. group_by_dynamic
# adds 6 hours of real time to the begin of the window before. So after the change in autumn its windows begin at 5, 11,
# 17 and 23 h, on later days too. The same day has other windows where the series begins on that day.
# Output seen, where each window of an hourly series begins in Berlin, and how many hours it has:
#   group_by_dynamic, 24 Oct: 00 6, 06 6, 12 6, 18 6
#   group_by_dynamic, 25 Oct: 00 6, 05 6, 11 6, 17 6, 23 6
#   group_by_dynamic, 26 Oct: 05 6, 11 6, 17 6, 23 1
#   truncate, 24 Oct: 00 6, 06 6, 12 6, 18 6
#   truncate, 25 Oct: 00 7, 06 6, 12 6, 18 6
#   truncate, 26 Oct: 00 6, 06 6, 12 6, 18 6
#   group_by_dynamic from 26 Oct on, 26 Oct: 00 6, 06 6, 12 6, 18 6
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --no-compile "polars==2.1.0"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
from datetime import datetime

import polars as pl


def series(first_day):
    first, end = datetime(2026, 10, first_day), datetime(2026, 10, 27)
    return pl.DataFrame(
        {"time": pl.datetime_range(first, end, "1h", time_zone="Europe/Berlin", closed="left", eager=True)}
    )


def dynamic(hours):
    return hours.group_by_dynamic("time", every="6h").agg(pl.len())


def truncated(hours):
    return hours.group_by(pl.col("time").dt.truncate("6h")).agg(pl.len()).sort("time")


def show(name, windows):
    days = dict[str, list[str]]()
    for begin, hours in windows.rows():
        days.setdefault(f"{begin:%d %b}", []).append(f"{begin:%H} {hours}")
    for day, begins in days.items():
        print(f"{name}, {day}:", ", ".join(begins))


show("group_by_dynamic", dynamic(series(24)))
show("truncate", truncated(series(24)))
show("group_by_dynamic from 26 Oct on", dynamic(series(26)))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
group_by_dynamic, 24 Oct: 00 6, 06 6, 12 6, 18 6
group_by_dynamic, 25 Oct: 00 6, 05 6, 11 6, 17 6, 23 6
group_by_dynamic, 26 Oct: 05 6, 11 6, 17 6, 23 1
truncate, 24 Oct: 00 6, 06 6, 12 6, 18 6
truncate, 25 Oct: 00 7, 06 6, 12 6, 18 6
truncate, 26 Oct: 00 6, 06 6, 12 6, 18 6
group_by_dynamic from 26 Oct on, 26 Oct: 00 6, 06 6, 12 6, 18 6
SEEN
