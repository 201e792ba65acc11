"""The server through FastMCP's client. Needs FastMCP 4.2 or later, not this project.

``fastmcp_client.py skills COMMAND...``: starts the server with COMMAND, and prints as JSON the digest of each skill
that the client read and verified.
"""

import asyncio
import hashlib
import json
import sys


async def skills(command, args):
    from fastmcp import Client
    from fastmcp.client.transports import StdioTransport
    from fastmcp.skills.client import SkillsClientExtension

    client = Client(StdioTransport(command, args), extensions=[SkillsClientExtension()])
    async with client:
        entries = await client.list_skills()
        read = {entry.uri: await client.read_skill(entry.uri) for entry in entries}
    return {uri: hashlib.sha256(item.files["SKILL.md"]).hexdigest() for uri, item in read.items()}


TASKS = {"skills": skills}


if __name__ == "__main__":
    task, command, *args = sys.argv[1:]
    print(json.dumps(asyncio.run(TASKS[task](command, args))))
