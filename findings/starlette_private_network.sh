#!/usr/bin/env bash
# Starlette 1.10.0: the preflight of an allowed origin, whose browser asks for a private network as well.
#
# Guess before running: an origin on the list is answered; a header that the middleware does not know is ignored.
# Seen: with Access-Control-Request-Private-Network the same preflight is answered 400, unless allow_private_network is
# set, which it is not by default.
# Output seen:
#   plain: 200 OK
#   into a private network: 400 Disallowed CORS private-network
#   with allow_private_network: 200 OK
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "starlette==1.10.0" "httpx==0.28.1"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import anyio
import httpx
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse

ORIGIN = "https://chat.example"
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
PRIVATE = {**PREFLIGHT, "Access-Control-Request-Private-Network": "true"}


async def ask(label, headers, **settings):
    app = CORSMiddleware(PlainTextResponse("x"), allow_origins=[ORIGIN], allow_methods=["POST"], **settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        answer = await http.options("/", headers=headers)
    print(f"{label}: {answer.status_code} {answer.text}")


async def main():
    await ask("plain", PREFLIGHT)
    await ask("into a private network", PRIVATE)
    await ask("with allow_private_network", PRIVATE, allow_private_network=True)


anyio.run(main)
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
plain: 200 OK
into a private network: 400 Disallowed CORS private-network
with allow_private_network: 200 OK
SEEN
