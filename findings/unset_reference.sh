#!/usr/bin/env bash
# Claude Code 2.1.197, Qwen Code 0.15.10, opencode 1.18.33: a reference to a variable that is not set, in an MCP entry.
#
# Guess before running: each hands on an empty text, as a shell would, or leaves the variable out.
# Seen: two hand the reference itself on, so that a server takes "${ABSENT}" for its key; one hands on an empty text.
# Output seen:
#   claude: set value, absent ${ABSENT}
#   qwen: set value, absent ${ABSENT}
#   opencode: set value, absent
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-fund --no-audit --prefix "$work/clients" \
  @anthropic-ai/claude-code@2.1.197 @qwen-code/qwen-code@0.15.10 opencode-ai@1.18.33
cat >"$work/server.py" <<'PYTHON'
import json
import os
import sys

with open(os.environ["REPORT"], "w") as report:
    print(f"set {os.environ['A']}, absent {os.environ['B']}".rstrip(), file=report)
for line in sys.stdin:
    request = json.loads(line)
    if "id" in request:
        version = request.get("params", {}).get("protocolVersion")
        result = {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
        answer = result if request["method"] == "initialize" else {}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": answer}), flush=True)
PYTHON
mkdir -p "$work/home/.qwen" "$work/home/.config/opencode" "$work/folder"
entry='"env": {"A": "${PRESENT}", "B": "${ABSENT}", "REPORT": "'$work/report'"}'
echo "{\"mcpServers\": {\"x\": {\"command\": \"python3\", \"args\": [\"$work/server.py\"], $entry}}}" |
  tee "$work/home/.claude.json" >"$work/home/.qwen/settings.json"
entry='"environment": {"A": "{env:PRESENT}", "B": "{env:ABSENT}", "REPORT": "'$work/report'"}'
echo "{\"mcp\": {\"x\": {\"type\": \"local\", \"command\": [\"python3\", \"$work/server.py\"], $entry}}}" \
  >"$work/home/.config/opencode/opencode.json"
cd "$work/folder"
for client in claude qwen opencode; do # their proxy is a port where nobody listens: they ask nobody
  env -u ABSENT HOME="$work/home" PRESENT=value HTTPS_PROXY=http://127.0.0.1:9 XDG_CONFIG_HOME="$work/home/.config" \
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 OPENCODE_DISABLE_MODELS_FETCH=1 OPENCODE_DISABLE_DEFAULT_PLUGINS=1 \
    "$work/clients/node_modules/.bin/$client" mcp list </dev/null >"$work/list.txt" 2>&1
  echo "$client: $(cat "$work/report")" | tee -a "$work/seen.txt"
  rm "$work/report"
done
diff "$work/seen.txt" - <<'SEEN'
claude: set value, absent ${ABSENT}
qwen: set value, absent ${ABSENT}
opencode: set value, absent
SEEN
