"""What can go wrong, each with a text that says what happened, the value seen and the next step.

::

    DashboardsError
    ├── InvalidArguments      the arguments are wrong; nothing was sent, or changed
    │   └── NoTimeBefore      the API does not hold the time that a window would be compared with, or it overlaps it
    ├── PlanRefused           a plan_id does not fit: expired, other operations, or the dashboard moved
    ├── EditFailed            a write failed, and what became of each operation was read back
    ├── ApiError              the API answered, and not with success
    │   ├── Refused           400
    │   │   └── TooFarBack    400 for a chart whose window starts before the days that the API holds
    │   ├── KeyRejected       401
    │   ├── Forbidden         403
    │   ├── NotFound          404
    │   ├── RateLimited       429
    │   ├── ApiFault          5xx
    │   └── UnexpectedStatus  any other, redirects among them
    ├── UnreadableAnswer      a success that is not what the API documents
    ├── WrongNetworkSetting   a proxy or certificates of the environment cannot be used; nothing was sent
    └── Unreachable           no answer
        ├── NotSent           the request certainly did not arrive
        ├── ConnectionBroken  it may have arrived
        └── DeadlinePassed    it may have arrived

No text quotes a body of the API beyond the documented messages of a 400, and none holds a key.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Self

from cekura_dashboards.text import shown_setting


class DashboardsError(Exception):
    """The root. ``str()`` of any of these is fit to be shown to a person or a model."""


class UnknownField(NamedTuple):
    """A field of calls that the API does not have, and what it was wanted for; in a filter, what was asked of it."""

    name: str
    use: Literal["plot", "filter", "group", "list"]
    op: str | None = None
    value: Any = None


class Fault(NamedTuple):
    """One thing wrong with the arguments: where, and what would be right. ``at``: where, as keys and places.

    ``unknown``: the field that it is about, which may be a metric's name.
    """

    path: str
    message: str
    at: tuple[str | int, ...] = ()
    unknown: UnknownField | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


NOTHING_SENT = "Nothing was sent."


class InvalidArguments(DashboardsError):
    """``faults`` holds everything that was found wrong, not only the first; ``more``: how many are not in it.

    ``text``: what is wrong, without the words before it that say what was not done; ``lead``: those.
    """

    def __init__(self, faults: Sequence[Fault], *, lead: str = NOTHING_SENT, more: int = 0) -> None:
        self.faults, self.lead, self.more = tuple(faults), lead, more
        texts = [str(fault) for fault in self.faults[:8]]
        if more := more + len(self.faults) - len(texts):
            texts.append(f"… and {more} more")
        self.told = "\n".join(texts)
        super().__init__(f"{lead} {self.told}")

    @classmethod
    def at(cls, path: str, message: str, *, lead: str = NOTHING_SENT) -> Self:
        return cls([Fault(path, message)], lead=lead)

    def with_lead(self, lead: str) -> "InvalidArguments":
        """The same with another lead."""
        return InvalidArguments(self.faults, lead=lead, more=self.more)


class NoTimeBefore(InvalidArguments):
    """The API does not hold the time that a window would be compared with, or that time would overlap the window."""


class PlanRefused(DashboardsError):
    """The plan does not hold any more; nothing was changed."""


class EditFailed(DashboardsError):
    """``outcomes`` tells of each operation whether it is applied, not applied or unknown; ``cause``: why it failed."""

    def __init__(self, cause: str, outcomes: dict[str, str]) -> None:
        self.cause, self.outcomes = cause, outcomes
        kinds = set(outcomes.values())
        if kinds == {"not applied"}:
            text = "Read back: nothing was changed, so it is safe to call again."
        else:
            text = "Read back: " + "; ".join(f"{name} {outcome}" for name, outcome in outcomes.items())
            text += ". It may still arrive: look with get_dashboard or list_dashboards before calling again."
        super().__init__(f"{cause}\n{text}")


class ApiError(DashboardsError):
    """The API answered with a status that is no success."""

    status: int = 0


class Refused(ApiError):
    """400. ``fields`` maps a field, or ``detail``, to the API's own messages, cleaned and capped."""

    status = 400

    def __init__(self, fields: dict[str, list[str]]) -> None:
        self.fields = fields
        refusals = "; ".join(f'{name}: "{" ".join(messages)}"' for name, messages in fields.items())
        if refusals:
            text = f"The API refused the request (400): {refusals}. Change what it names and call again."
        else:
            text = "The API refused the request (400) and gave no reason that can be shown. Check the arguments."
        super().__init__(text)


class TooFarBack(Refused):
    """400 for a chart whose window starts before the days that the API holds."""

    def __str__(self) -> str:
        return "The API holds 30 days of calls and the window starts before that. Ask for a later window, such as 30d."


class KeyRejected(ApiError):
    """401. ``remedy``: how its user gets another key to where this one came from."""

    status = 401
    REMEDY = "Set CEKURA_API_KEY (or the X-CEKURA-API-KEY header) to a valid one."

    def __init__(self, remedy: str = REMEDY) -> None:
        super().__init__(f"The API did not accept the key (401). {remedy}")


class Forbidden(ApiError):
    """403."""

    status = 403

    def __init__(self, thing: str) -> None:
        super().__init__(f"This key may not use {thing} (403). Use a key of that project, or ask its owner for access.")


class NotFound(ApiError):
    """404. ``number`` is what was asked for."""

    status = 404
    NEXT = {  # noqa: RUF012 - never changed
        "dashboard": "list_dashboards shows the ones you can use.",
        "widget": "get_dashboard lists the widgets of a dashboard.",
        "call": "list_calls lists the calls behind a chart, 30 days back; give project_id if it is of another project.",
    }

    def __init__(self, kind: str, number: int | str | None) -> None:
        self.kind, self.number = kind, number
        what = f"{kind} {number}" if number is not None else kind
        super().__init__(f"No {what} for this key. {self.NEXT.get(kind, 'Check CEKURA_BASE_URL.')}")


class RateLimited(ApiError):
    """429. ``wait_s`` is what the API asks for, if it said."""

    status = 429

    def __init__(self, wait_s: float | None) -> None:
        self.wait_s = wait_s
        when = f"in {wait_s:.0f} seconds" if wait_s is not None else "in a minute"
        super().__init__(
            f"The API limits how often this key may ask (429). Try again {when}, with fewer calls at once."
        )


class ApiFault(ApiError):
    """5xx."""

    def __init__(self, status: int, wait_s: float | None = None) -> None:
        self.status, self.wait_s = status, wait_s
        super().__init__(
            f"The API failed on its side ({status}). Try again later; a narrower window is less work for it."
        )


class UnexpectedStatus(ApiError):
    """A status that the API does not document; redirects are not followed."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(
            f"The API answered with the unexpected status {status}. Check that CEKURA_BASE_URL is its address."
        )


class UnreadableAnswer(DashboardsError):
    """A success whose body is not what the API documents."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The API's answer could not be read: {problem}.")


class WrongNetworkSetting(DashboardsError):
    """A proxy or certificates of the environment cannot be used; nothing was sent."""

    def __init__(self, variable: str, value: str, problem: str) -> None:
        super().__init__(f'{variable} is "{shown_setting(value)}", {problem}.')


class Unreachable(DashboardsError):
    """No answer came."""


class NotSent(Unreachable):
    """The request certainly did not reach the API. ``variables``: of the environment, that it depended on."""

    def __init__(self, why: str, *variables: str) -> None:
        checked = ", ".join(["the network", *variables])
        super().__init__(f"The API could not be reached ({why}). Check {checked} and CEKURA_BASE_URL, then try again.")


class ConnectionBroken(Unreachable):
    """The connection broke after the request may have been sent."""

    def __init__(self, why: str) -> None:
        super().__init__(f"The connection to the API broke ({why}). Try again.")


class DeadlinePassed(Unreachable):
    """No answer in time."""

    def __init__(self, after_s: float) -> None:
        super().__init__(
            f"No answer within {after_s:.0f} seconds. "
            "Ask for a narrower window or fewer widgets, or raise CEKURA_TIMEOUT_S."
        )
