#!/usr/bin/env bash
# ruamel.yaml 0.19.1 and tomlkit 0.15.2: one entry is added to a file that keeps its style, and the rest is compared.
#
# Guess before running: both keep every other byte, as that is what round trips are for.
# Seen: ruamel.yaml moves lists to its own indentation, and of CRLF keeps those after comments alone; comments and order
# stay. tomlkit keeps what was there, but writes what is new with LF, also into a text with CRLF.
# Output seen:
#   yaml, lists of another depth: changed
#   yaml, CRLF: left in 2 of 7 lines
#   toml, what was there: kept
#   toml, CRLF: LF in the new lines
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q "ruamel.yaml==0.19.1" "tomlkit==0.15.2"
"$work/venv/bin/python" - >"$work/seen.txt" <<'PYTHON'
import io

import tomlkit
from ruamel.yaml import YAML


def yaml_with_entry(text):
    yaml, written = YAML(), io.StringIO()
    document = yaml.load(text)
    document["servers"]["ours"] = {"cmd": "x"}
    yaml.dump(document, written)
    return written.getvalue()



deep = "# mine\nservers:\n    other:\n        args:\n            - a # first\n"
print("yaml, lists of another depth:", "kept" if deep in yaml_with_entry(deep) else "changed")
lines = yaml_with_entry(deep.replace("\n", "\r\n")).splitlines(keepends=True)
print("yaml, CRLF: left in", sum(line.endswith("\r\n") for line in lines), "of", len(lines), "lines")

toml = '# mine\r\n[servers.other]\r\ncmd = "y" # first\r\n'
document = tomlkit.parse(toml)
document["servers"]["ours"] = {"cmd": "x"}
written = tomlkit.dumps(document)
print("toml, what was there:", "kept" if written.startswith(toml) else "changed")
print("toml, CRLF:", "kept" if "\n" not in written.replace("\r\n", "") else "LF in the new lines")
PYTHON
cat "$work/seen.txt"
diff "$work/seen.txt" - <<'SEEN'
yaml, lists of another depth: changed
yaml, CRLF: left in 2 of 7 lines
toml, what was there: kept
toml, CRLF: LF in the new lines
SEEN
