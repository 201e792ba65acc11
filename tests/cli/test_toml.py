"""TOML, edited in place: adding and removing a table changes no other line."""

import tomllib

import pytest

from cekura_dashboards_mcp.cli.jsonc import NotEditable
from cekura_dashboards_mcp.cli.toml import Toml
from support import Json

ENTRY: Json = {"command": "x", "args": ["serve", "[mcp_servers.b]"], "env": {"ZONE": "Europe/Berlin", "N": "08"}}
TEXTS = [
    "",
    "# only a comment\n",
    'model = "x"\n',
    '# c\n[mcp_servers.a]\ncommand = "a" # t\n\n[other]\nx = 1\n',
    '[mcp_servers]\n[mcp_servers.a]\ncommand="a"\n[mcp_servers.a.env]\nK="v"\n# trailing\n',
    'mcp_servers = {a = {command = "x"}}\n',
    'mcp_servers.a.command = "x"\nz = 1\n',
    '[mcp_servers.a]\ncommand="a"\n\n[z]\nq=1\n\n[mcp_servers.b]\ncommand="b"\n',
    'a = 1\r\n[mcp_servers.a]\r\ncommand = "x"\r\n',
    "[mcp_servers]\n\n# none yet\n\n[z]\na=1\n",
    'text = """\n[mcp_servers.ours]\nno = "table"\n"""\n',
]


@pytest.mark.parametrize("text", TEXTS)
def test_adding_and_removing_a_member_restores_the_text(text: str) -> None:
    added = Toml(text).with_member("mcp_servers", "ours", ENTRY)
    before = tomllib.loads(text)
    assert tomllib.loads(added) == {**before, "mcp_servers": {**before.get("mcp_servers", {}), "ours": ENTRY}}
    rest = iter(added)
    assert all(char in rest for char in text), "all text remains in order"
    assert Toml(added).without_member("mcp_servers", "ours") == text
    changed = Toml(added).with_member("mcp_servers", "ours", {"command": "y"})
    assert Toml(changed).with_member("mcp_servers", "ours", ENTRY) == added


def test_removing_a_toml_table_keeps_surrounding_text() -> None:
    text = '[mcp_servers.ours]\ncommand = "x"\n\n# mine\n[z] # also\na = 1\n[mcp_servers."ours".env]\nK = "v"\n# end\n'
    assert Toml(text).without_member("mcp_servers", "other") == text
    rest = Toml(text).without_member("mcp_servers", "ours")
    assert tomllib.loads(rest) in ({"z": {"a": 1}}, {"z": {"a": 1}, "mcp_servers": {}})
    assert all(comment in rest for comment in ("# mine", "# also", "# end"))


@pytest.mark.parametrize(
    ("text", "message"), [("a =", "is not valid TOML: Invalid value"), ("mcp_servers = []", "is not a table")]
)
def test_invalid_toml_is_rejected_as_not_editable(text: str, message: str) -> None:
    with pytest.raises(NotEditable, match=message):
        Toml(text).with_member("mcp_servers", "ours", ENTRY)
