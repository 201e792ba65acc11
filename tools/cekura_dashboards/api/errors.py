"""The errors. Each text says what happened, the value, and the next step.

::

    DashboardsError
    ├── InvalidArguments      the arguments are wrong; nothing was sent or changed
    │   └── NoTimeBefore      the comparison window is outside the API's data, or overlaps the window
    ├── PlanRefused           a plan_id is not valid: expired, other operations, or the dashboard changed
    ├── EditFailed            a write failed; the outcome of each operation was read back
    ├── ApiError              the API returned an error status
    │   ├── Refused           400
    │   │   └── TooFarBack    400 for a chart whose window starts before the API's data
    │   ├── KeyRejected       401
    │   ├── Forbidden         403
    │   ├── NotFound          404
    │   ├── RateLimited       429
    │   ├── ApiFault          5xx
    │   └── UnexpectedStatus  any other, redirects included
    ├── UnreadableAnswer      a success whose body is not as documented
    ├── WrongNetworkSetting   a proxy or certificate setting cannot be used; nothing was sent
    └── Unreachable           no response
        ├── NotSent           the request did not reach the API
        ├── ConnectionBroken  it may have reached the API
        └── DeadlinePassed    it may have reached the API

Of the API's response bodies, only the documented messages of a 400 are quoted. No text contains a key.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

from cekura_dashboards.text import shown_setting


class DashboardsError(Exception):
    """The base class. ``str()`` of any of these can be shown to a person or a model."""


class UnknownField(NamedTuple):
    """An unknown field and its intended use; in a filter also the operator and value."""

    name: str
    use: Literal["plot", "filter", "group", "list"]
    op: str | None = None
    value: Any = None


class Fault(NamedTuple):
    """One fault in the arguments and how to correct it. ``at``: its location, as keys and indexes.

    ``unknown``: the field concerned, which may be a metric's name.
    """

    path: str
    message: str
    at: tuple[str | int, ...] = ()
    unknown: UnknownField | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else f"{self.message[:1].upper()}{self.message[1:]}"


NOTHING_SENT = "Nothing was sent."


class InvalidArguments(DashboardsError):
    """``faults``: all of them, not only the first; ``more``: how many further ones are omitted.

    ``lead``: the opening words, which say that nothing was sent or changed; ``details``: the text after them.
    """

    def __init__(self, faults: Sequence[Fault], *, lead: str = NOTHING_SENT, more: int = 0) -> None:
        self.faults, self.lead, self.more = tuple(faults), lead, more
        texts = [str(fault) for fault in self.faults[:8]]
        if more := more + len(self.faults) - len(texts):
            texts.append(f"… and {more} more")
        self.details = "\n".join(texts)
        super().__init__(f"{lead} {self.details}")

    @classmethod
    def at(cls, path: str, message: str, *, lead: str = NOTHING_SENT) -> Self:
        return cls([Fault(path, message)], lead=lead)

    def with_lead(self, lead: str) -> "InvalidArguments":
        """A copy with another lead."""
        return InvalidArguments(self.faults, lead=lead, more=self.more)


class NoTimeBefore(InvalidArguments):
    """The comparison window is outside the API's data, or overlaps the window."""


class PlanRefused(DashboardsError):
    """The plan is no longer valid; nothing was changed."""


class EditFailed(DashboardsError):
    """``outcomes``: for each operation ``applied``, ``not applied`` or ``unknown``; ``cause``: why the write failed."""

    def __init__(self, cause: str, outcomes: dict[str, str]) -> None:
        self.cause, self.outcomes = cause, outcomes
        kinds = set(outcomes.values())
        if kinds == {"not applied"}:
            text = "Read back: nothing was changed, so it is safe to call again."
        else:
            text = "Read back: " + "; ".join(f"{name} {outcome}" for name, outcome in outcomes.items())
            text += ". It may still take effect: check with get_dashboard or list_dashboards before calling again."
        super().__init__(f"{cause}\n{text}")


class ApiError(DashboardsError):
    """The API returned an error status."""

    status: int = 0


class Refused(ApiError):
    """400. ``fields`` maps a field, or ``detail``, to the API's messages, sanitized and truncated."""

    status = 400

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self.fields = fields
        refusals = "; ".join(f'{name}: "{" ".join(messages)}"' for name, messages in fields.items())
        if refusals:
            text = f"The API refused the request (400): {refusals}. Correct this and call again."
        else:
            text = "The API refused the request (400) without a usable reason. Check the arguments."
        super().__init__(text)


class TooFarBack(Refused):
    """400 for a chart whose window starts before the API's data."""

    def __str__(self) -> str:
        return "The API keeps 30 days of calls and the window starts earlier. Use a later window, such as 30d."


class KeyRejected(ApiError):
    """401. ``remedy``: how the user replaces the key."""

    status = 401
    REMEDY = "Set CEKURA_API_KEY (or the X-CEKURA-API-KEY header) to a valid one."

    def __init__(self, remedy: str = REMEDY) -> None:
        super().__init__(f"The API rejected the key (401). {remedy}")


class Forbidden(ApiError):
    """403."""

    status = 403

    def __init__(self, thing: str) -> None:
        super().__init__(f"This key may not use {thing} (403). Use a key of that project, or ask its owner for access.")


class NotFound(ApiError):
    """404. ``number``: the requested id."""

    status = 404
    NEXT = {  # noqa: RUF012 - never changed
        "dashboard": "list_dashboards shows the ones you can use.",
        "widget": "get_dashboard lists the widgets of a dashboard.",
        "alert": "look_up alerts lists the ones you can use.",
        "call": "list_calls lists a chart's calls of the last 30 days; give project_id for one in another project.",
    }

    def __init__(self, kind: str, number: int | str | None) -> None:
        self.kind, self.number = kind, number
        what = f"{kind} {number}" if number is not None else kind
        super().__init__(f"No {what} for this key. {self.NEXT.get(kind, 'Check CEKURA_BASE_URL.')}")


class RateLimited(ApiError):
    """429. ``wait_s``: the wait that the API asks for, if any."""

    status = 429

    def __init__(self, wait_s: float | None) -> None:
        self.wait_s = wait_s
        when = f"in {wait_s:.0f} seconds" if wait_s is not None else "in a minute"
        super().__init__(
            f"The API's rate limit for this key is reached (429). Try again {when}, with fewer calls at once."
        )


class ApiFault(ApiError):
    """5xx."""

    def __init__(self, status: int, wait_s: float | None = None) -> None:
        self.status, self.wait_s = status, wait_s
        super().__init__(f"The API failed ({status}). Try again later; for charts, also with a narrower window.")


class UnexpectedStatus(ApiError):
    """A status that the API does not document. Redirects are not followed."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"The API returned the unexpected status {status}. Check CEKURA_BASE_URL.")


class UnreadableAnswer(DashboardsError):
    """A success whose body is not as documented. ``remedy``: the next step."""

    AGAIN = "Try again; if it stays so, `cekura-dashboards doctor` checks the connection."

    def __init__(self, problem: str, remedy: str = AGAIN) -> None:
        super().__init__(f"The API's response could not be read: {problem}. {remedy}")


class WrongNetworkSetting(DashboardsError):
    """A proxy or certificate setting cannot be used; nothing was sent."""

    def __init__(self, variable: str, value: str, problem: str) -> None:
        super().__init__(f'{variable} is "{shown_setting(value)}", {problem}.')


class Unreachable(DashboardsError):
    """No response arrived."""


class NotSent(Unreachable):
    """The request did not reach the API. ``variables``: the environment variables that it depended on."""

    def __init__(self, why: str, *variables: str) -> None:
        checked = ", ".join(["the network", *variables])
        super().__init__(f"The API could not be reached ({why}). Check {checked} and CEKURA_BASE_URL, then try again.")


class ConnectionBroken(Unreachable):
    """The connection broke, possibly after the request was sent."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The connection to the API broke ({why}). Try again.")


class DeadlinePassed(Unreachable):
    """No response in time."""

    def __init__(self, after_s: float) -> None:
        super().__init__(
            f"No response within {after_s:.0f} seconds. "
            "Use a narrower window or fewer widgets, or raise CEKURA_TIMEOUT_S."
        )
