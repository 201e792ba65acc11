#!/usr/bin/env bash
# PyJWT 2.15.1: an RSA key of a key set that names no "alg" serves for RS256 alone.
#
# Guess before running: RFC 7517 makes "alg" optional, so such a key verifies any RSA signature that the caller allows.
# Seen: PyJWK takes RS256 for it; a valid RS512 token of the same key is refused with InvalidAlgorithmError, and the
# same key with its algorithm named verifies it.
# Output seen:
#   the key without alg: RS256
#   RS256: verified
#   RS512: InvalidAlgorithmError
#   RS512, the algorithm named: verified
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "pyjwt[crypto]==2.15.1"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
public = json.loads(RSAAlgorithm.to_jwk(private.public_key()))
public.pop("alg", None)
plain = jwt.PyJWK(public)
print("the key without alg:", plain.algorithm_name)


def verify(label, algorithm, key):
    token = jwt.encode({"sub": "someone"}, private, algorithm=algorithm)
    try:
        jwt.decode(token, key, algorithms=["RS256", "RS512"])
        print(f"{label}: verified")
    except jwt.PyJWTError as error:
        print(f"{label}: {type(error).__name__}")


verify("RS256", "RS256", plain)
verify("RS512", "RS512", plain)
verify("RS512, the algorithm named", "RS512", jwt.PyJWK(public, algorithm="RS512"))
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
the key without alg: RS256
RS256: verified
RS512: InvalidAlgorithmError
RS512, the algorithm named: verified
SEEN
