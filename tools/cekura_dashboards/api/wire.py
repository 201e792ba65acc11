"""What passes between the client and whatever carries its requests."""

from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr


@dataclass(frozen=True)
class Answer:
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
    ) -> Answer: ...

    async def aclose(self) -> None: ...
