"""Which tools a key may use: ``CEKURA_TOOLS``.

``list_dashboards, get_widgets_data`` holds for every key; ``read`` stands for all tools that change nothing, ``all``
for all. ``3f9a0c12d4e5=all; *=read`` gives the key of that digest more than the others; ``doctor`` shows the digest.
"""

from collections.abc import Mapping

from cekura_dashboards import TOOLS
from cekura_dashboards.settings import SettingsError
from cekura_dashboards.text import did_you_mean, quoted

EVERY_KEY = "*"
_NAMES = {tool.name: tool for tool in TOOLS}
_GROUPS = {"all": frozenset(_NAMES), "read": frozenset(tool.name for tool in TOOLS if not tool.writes)}


def allowed_tools(text: str) -> Mapping[str, frozenset[str]]:
    """The names of tools by the digest of a key, ``*`` for all others; nothing: no limit.

    >>> sorted(allowed_tools("0123456789ab=look_up, list_calls")["0123456789ab"])
    ['list_calls', 'look_up']

    Raises:
        SettingsError: for a name that is no tool.
    """
    tools_by_key = dict[str, frozenset[str]]()
    for part in filter(None, (part.strip() for part in text.split(";"))):
        digest, sign, names = part.rpartition("=")
        tools = frozenset[str]()
        for name in (name.strip() for name in names.split(",")):
            if name not in _GROUPS and name not in _NAMES:
                hint = did_you_mean(name, [*_NAMES, *_GROUPS])
                raise SettingsError(f'CEKURA_TOOLS names "{quoted(name, limit=60)}", which is no tool; {hint}')
            tools |= _GROUPS.get(name, frozenset({name}))
        tools_by_key[digest.strip() if sign else EVERY_KEY] = tools
    return tools_by_key


def may_use(allowed: Mapping[str, frozenset[str]], caller: str, tool: str) -> bool:
    """Whether the key of that digest may use a tool: one that is not named may use none, if others are."""
    return not allowed or tool in allowed.get(caller, allowed.get(EVERY_KEY, frozenset()))
