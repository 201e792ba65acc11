"""What passes between the client and whatever carries its requests."""

from typing import Protocol

from msgspec import Struct
from pydantic import SecretStr

MAX_BODY_BYTES = 96 * 2**20
SMALLER = "Ask for a narrower window, or plot a bar instead of a line"


class Response(Struct, frozen=True):
    """A response, its body read whole."""

    status: int
    body: bytes | bytearray
    content_type: str = ""
    retry_after: str | None = None
    date: str | None = None


class Transport(Protocol):
    """Sends one request and returns the answer, whatever its status.

    Raises:
        Unreachable: if there is none.
        UnreadableAnswer: if it is larger than the cap.
    """

    async def send(
        self,
        method: str,
        path: str,
        *,
        key: SecretStr,
        timeout_s: float,
        query: dict[str, str],
        body: bytes | None,
    ) -> Response: ...

    async def aclose(self) -> None: ...
