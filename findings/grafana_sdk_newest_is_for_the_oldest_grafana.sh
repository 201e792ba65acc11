#!/usr/bin/env bash
# grafana-foundation-sdk: pip installs the one for Grafana 10.1, also for ">=11.6", and it loses fields of dashboards.
#
# Guess before running: none was written. Anybody would expect ">=11.6" to install 11.6 or later, and a dashboard that
# is read and written again to have the same fields.
# Seen: a release has a version for each Grafana, with the time of its build as the epoch ("1769699998!10.1.0"). The
# epoch counts first, and the oldest Grafana is built last, so pip takes 10.1.0 for the newest, unless a version is
# given whole. Reading and writing a dashboard with that loses three fields, which the one for 11.6 keeps, and the
# dashboard is shown otherwise: the time above a panel, panels in a row, and the built-in annotations.
# Output seen:
#   installed for >=11.6: 1769699998!10.1.0
#   lost: builtIn, hideTimeOverride, maxPerRow
#   installed whole: 1769699379!11.6.0
#   lost: nothing
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
cat >"$work/lost.py" <<'PYTHON'
import json
import sys
from importlib.metadata import version

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

PANEL = {
    "type": "timeseries",
    "id": 1,
    "title": "Latency",
    "timeFrom": "1h",
    "hideTimeOverride": True,
    "repeat": "agent",
    "repeatDirection": "h",
    "maxPerRow": 2,
    "gridPos": {"x": 0, "y": 0, "w": 12, "h": 8},
}
ANNOTATIONS = {
    "builtIn": 1,
    "datasource": {"type": "grafana", "uid": "-- Grafana --"},
    "enable": True,
    "hide": True,
    "iconColor": "rgba(0, 211, 255, 1)",
    "name": "Annotations & Alerts",
    "type": "dashboard",
}
DASHBOARD = {"title": "Calls", "schemaVersion": 38, "annotations": {"list": [ANNOTATIONS]}, "panels": [PANEL]}

written = json.loads(json.dumps(Dashboard.from_json(DASHBOARD), cls=JSONEncoder))
lost = (ANNOTATIONS.keys() - written["annotations"]["list"][0]) | (PANEL.keys() - written["panels"][0])
lost |= DASHBOARD.keys() - written
print(f"installed {sys.argv[1]}:", version("grafana-foundation-sdk"))
print("lost:", ", ".join(sorted(lost)) or "nothing")
PYTHON
round_trip() {
  "$work/venv/bin/pip" install -q --no-compile "grafana-foundation-sdk$2"
  "$work/venv/bin/python" "$work/lost.py" "$1"
}
# the upper bound is the newest of November 2026, so that the finding stays as it was seen
round_trip "for >=11.6" ">=11.6,<=1769699998!10.1.0" >"$work/seen.txt"
round_trip "whole" "==1769699379!11.6.0" >>"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
installed for >=11.6: 1769699998!10.1.0
lost: builtIn, hideTimeOverride, maxPerRow
installed whole: 1769699379!11.6.0
lost: nothing
SEEN
