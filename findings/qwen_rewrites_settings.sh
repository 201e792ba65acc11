#!/usr/bin/env bash
# Qwen Code 0.15.10: what `qwen mcp list` does to the settings of a person.
#
# Guess before running: it reads them; a list changes nothing.
# Seen: it writes the file anew, indented its own way and with a "$version", and keeps the earlier one under another name.
# Comments stay. Who compares the file with what they wrote sees a change that nobody made.
# Output seen:
#   settings.json changed: yes
#   comment kept: yes
#   $version added: yes
#   settings.json.orig as it was: yes
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-fund --no-audit --prefix "$work/client" @qwen-code/qwen-code@0.15.10
mkdir -p "$work/home/.qwen" "$work/folder"
printf '// mine\n{"mcpServers": {}}\n' | tee "$work/before.json" >"$work/home/.qwen/settings.json"
cd "$work/folder"
export HOME="$work/home" HTTPS_PROXY=http://127.0.0.1:9 # where nobody listens: it asks nobody
"$work/client/node_modules/.bin/qwen" mcp list </dev/null >"$work/list.txt" 2>&1
answer() { if "${@:2}"; then echo "$1: yes"; else echo "$1: no"; fi; }
differ() { ! cmp -s "$1" "$2"; }
{
  answer "settings.json changed" differ "$work/before.json" "$work/home/.qwen/settings.json"
  answer "comment kept" grep -q "// mine" "$work/home/.qwen/settings.json"
  answer '$version added' grep -q '"$version"' "$work/home/.qwen/settings.json"
  answer "settings.json.orig as it was" cmp -s "$work/before.json" "$work/home/.qwen/settings.json.orig"
} | tee "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
settings.json changed: yes
comment kept: yes
$version added: yes
settings.json.orig as it was: yes
SEEN
