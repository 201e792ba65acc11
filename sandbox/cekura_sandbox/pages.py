"""Django REST style pages."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import Query, Request

PUBLIC_HOST = "https://api.sandbox.invalid"
"""The host that ``next`` names. It is not the one that answers: a client must take only the query from it."""


class PageMissing(Exception):
    """A 404 for a page past the end."""


class Pages:
    """The ``page`` and ``page_size`` of a request: 10 a page by default, 100 at the most."""

    def __init__(self, page: Annotated[int, Query(ge=1)] = 1, page_size: Annotated[int, Query(ge=1)] = 10) -> None:
        self.page = page
        self.size = min(page_size, 100)

    def envelope(self, request: Request, count: int, results: list[Any]) -> dict[str, Any]:
        if self.page > 1 and (self.page - 1) * self.size >= count:
            raise PageMissing
        last = self.page * self.size >= count
        return {
            "count": count,
            "next": None if last else self._link(request, self.page + 1),
            "previous": None if self.page == 1 else self._link(request, self.page - 1),
            "results": results,
        }

    def _link(self, request: Request, page: int) -> str:
        return f"{PUBLIC_HOST}{request.url.path}?{request.url.include_query_params(page=page).query}"


def paginate(
    request: Request, pages: Pages, items: Sequence[Any], make: Callable[[Any], Any] = lambda item: item
) -> dict[str, Any]:
    """Only the items of the page asked for are made."""
    start = (pages.page - 1) * pages.size
    return pages.envelope(request, len(items), [make(item) for item in items[start : start + pages.size]])
