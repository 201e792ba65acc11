#!/usr/bin/env bash
# Codex 0.171.0: what an MCP server that it starts sees of the environment.
#
# Guess before running: all of it, as with every other client that was tried, or at least what the network needs.
# Seen: a short list of its own, with PATH, HOME and the variables of certificates in it. HTTPS_PROXY is not handed on,
# nor is anything of the program's own, unless the entry lists it in env_vars.
# Output seen:
#   HOME, PATH, CURL_CA_BUNDLE, SSL_CERT_FILE, LISTED: handed on
#   HTTPS_PROXY, OTHER: not handed on
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm install --silent --no-fund --no-audit --prefix "$work/client" @openai/codex@0.171.0
cat >"$work/server.py" <<PYTHON
import os

with open("$work/part", "w") as report:
    print("\n".join(os.environ), file=report)
os.replace("$work/part", "$work/report")
PYTHON
mkdir -p "$work/home/.codex" "$work/folder"
cat >"$work/home/.codex/config.toml" <<TOML
[mcp_servers.x]
command = "python3"
args = ["$work/server.py"]
env_vars = ["LISTED"]
TOML
cd "$work/folder" # its proxy is a port where nobody listens: it asks no model
authorities=/etc/ssl/certs/ca-certificates.crt
env HOME="$work/home" CODEX_HOME="$work/home/.codex" OPENAI_API_KEY=none HTTPS_PROXY=http://127.0.0.1:9 LISTED=1 OTHER=1 \
  SSL_CERT_FILE="$authorities" CURL_CA_BUNDLE="$authorities" \
  "$work/client/node_modules/.bin/codex" exec --skip-git-repo-check hello </dev/null >"$work/log.txt" 2>&1 &
codex=$!
for _ in $(seq 60); do
  [ -e "$work/report" ] && break
  sleep 1
done
kill "$codex" || true
wait "$codex" || true
for name in HOME PATH CURL_CA_BUNDLE SSL_CERT_FILE LISTED HTTPS_PROXY OTHER; do
  grep -qx "$name" "$work/report" && echo "$name: handed on" || echo "$name: not handed on"
done | tee "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
HOME: handed on
PATH: handed on
CURL_CA_BUNDLE: handed on
SSL_CERT_FILE: handed on
LISTED: handed on
HTTPS_PROXY: not handed on
OTHER: not handed on
SEEN
