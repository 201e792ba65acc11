#!/usr/bin/env bash
# schemathesis 4.32.5 with pytest 9.2.0: a schema that comes from a fixture, its documented lazy form, fails every test.
#
# Guess before running: the schema is loaded when the test starts, one subtest per operation runs, and collecting is fast.
# Seen: that is so with pytest 9.1.0. With 9.2.0, which schemathesis' requirement allows and pip installs, the test ends
# with an AttributeError, as items no longer have the private attribute of their id. Schemas loaded at import still work.
# Output seen:
#   pytest 9.1.0, fixture: 1 passed
#   pytest 9.1.0, import: 1 passed
#   pytest 9.2.0, fixture: 1 failed
#   AttributeError: 'Function' object has no attribute '_nodeid'
#   pytest 9.2.0, import: 1 passed
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/document.py" <<'PYTHON'
OK = {"responses": {"200": {"description": "calls"}}}
DOCUMENT = {"openapi": "3.1.0", "info": {"title": "Calls", "version": "1"}, "paths": {"/calls/": {"get": OK}}}
PYTHON
cat >"$work/test_fixture.py" <<'PYTHON'
import pytest
import schemathesis
from document import DOCUMENT

schema = schemathesis.pytest.from_fixture("calls")


@pytest.fixture
def calls():
    return schemathesis.openapi.from_dict(DOCUMENT)


@schema.parametrize()
def test_calls(case):
    assert case.path == "/calls/"
PYTHON
cat >"$work/test_import.py" <<'PYTHON'
import schemathesis
from document import DOCUMENT

schema = schemathesis.openapi.from_dict(DOCUMENT)


@schema.parametrize()
def test_calls(case):
    assert case.path == "/calls/"
PYTHON
python3 -m venv "$work/venv"
for version in 9.1.0 9.2.0; do
  "$work/venv/bin/pip" install -q --no-compile "schemathesis==4.32.5" "pytest==$version"
  for kind in fixture import; do
    (cd "$work" && venv/bin/python -m pytest -q -p no:cacheprovider "test_$kind.py") >"$work/out.txt" 2>&1 || true
    echo "pytest $version, $kind: $(grep -oE '[0-9]+ (passed|failed)' "$work/out.txt" | tail -1)"
    grep -oE "^E +AttributeError: .*" "$work/out.txt" | sed -E 's/^E +//' | head -1 || true
  done
done >"$work/seen.txt"
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
pytest 9.1.0, fixture: 1 passed
pytest 9.1.0, import: 1 passed
pytest 9.2.0, fixture: 1 failed
AttributeError: 'Function' object has no attribute '_nodeid'
pytest 9.2.0, import: 1 passed
SEEN
