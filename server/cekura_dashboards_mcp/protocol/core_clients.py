"""Which clients get the small profile with ``CEKURA_TOOLS=by-client``, by the name that they send of themselves."""

from mcp.server.session import ServerSession

CORE_CLIENTS = {
    "LocalAI": "runs models on its own machine; all tools of a model's servers are in each of its requests",
    "llama-webui-mcp": "the page of llama.cpp's server: its context is fixed at the start, and every tool is in it",
}
"""By name, why: only programs that run the model themselves, so that its context is as small as their machine's memory.

Not listed: those that leave the choice of the model to the user, such as Jan or mcphost.
"""
BRIDGE = " (via mcp-remote"
"""Follows the name of a client that mcp-remote connects."""


def is_core_client(session: ServerSession) -> bool:
    """Whether the client of a request named itself as one of them.

    It does so at ``initialize`` or, since 2026-07-28, in each request. A request of an older client to a stateless
    server carries no name, so it is none of them.
    """
    client = session.client_params
    return client is not None and client.client_info.name.partition(BRIDGE)[0] in CORE_CLIENTS
