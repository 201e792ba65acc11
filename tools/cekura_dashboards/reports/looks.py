"""A series of looks at the same dashboards: what is new in each, and the token between them.

The token contains no text of the account: the scope and the reported changes are digests.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple

from msgspec import Struct
from pydantic import BaseModel, Field

from cekura_dashboards.api.errors import Fault, InvalidArguments
from cekura_dashboards.api.models import LIMIT
from cekura_dashboards.reports.changes import RankedChange
from cekura_dashboards.stats.change import How
from cekura_dashboards.stats.significance import has_lasted, is_significant_in_look, share_of_look
from cekura_dashboards.stats.timeline import moment_of
from cekura_dashboards.text import UntrustedText, json_text

LAST_LOOK: Literal["last look"] = "last look"
VERSION = "look1"
MAX_TOKEN = 500
"""Characters of a token."""
MAX_EVENTS = 32
"""Maximum events in a token, of 14 characters each, besides at most 40 for the rest."""
HOUR = timedelta(hours=1)
CLOCK_ERROR = timedelta(minutes=10)
"""How far in the future a look may seem to be, because clocks differ. A choice."""
MEMORY = 2 * LIMIT
"""How long a change is remembered after looks stop finding it. A choice: it may come back."""
MAX_AGE = 36**2 - 1
"""Hours, the most that two digits of base 36 can hold."""
SAME_EVENT = 3 * HOUR
"""How far the start of an outage or outlier may move from look to look. A choice: nights are trimmed by hours."""
SAME_STEP = timedelta(days=3)
"""The same for other changes with a date. A choice: a step among 30 days is dated to within a few days."""
SAME_LEVEL = timedelta(days=14)
"""The same for a difference between windows, which is dated by the last look that reported it. A choice."""
PROMISE = "at most 5 % of series of 90 looks report any false new clear change"
NOT_YET = "clear in this look, not yet over the series"
EXACT: frozenset[How] = frozenset({"outage", "outlier", "new group", "gone group"})
"""Kinds of change that are clear at once: they end soon, and their p-values are valid far out in the tail."""
_EVENT = r"[a-zA-Z][\w-]{7}[0-9a-z]{6}"
_TOKEN = re.compile(
    rf"{VERSION}\.([\w-]{{6}})\.([0-9a-z]{{1,6}})\.([0-9a-z]{{1,6}})\.((?:{_EVENT})*)\.([\w-]{{4}})", re.ASCII
)


class Event(NamedTuple):
    """A reported change. ``kind``: one letter, a capital if reported as clear. ``hour``: since 1970.

    ``age``: for how many hours, up to the last look, every look found it significant; 0: the last look did not.
    """

    kind: str
    digest: str
    hour: int
    age: int = 0

    @property
    def is_clear(self) -> bool:
        return self.kind.isupper()

    def to_text(self) -> str:
        """14 characters."""
        return f"{self.kind}{self.digest}{_base36(self.hour):0>4}{_base36(min(self.age, MAX_AGE)):0>2}"

    def is_same(self, other: "Event") -> bool:
        """Whether a later look reports the same event, perhaps by another test."""
        if self.digest != other.digest:
            return False
        kinds = {self.kind.lower(), other.kind.lower()}
        hours = abs(self.hour - other.hour) * HOUR
        if kinds & _UNDATED:
            return hours <= SAME_LEVEL
        return hours <= (SAME_EVENT if kinds <= {"o", "u"} else SAME_STEP)


_LETTERS = {
    "step": "s", "trend": "t", "comparison": "c", "outlier": "u", "outage": "o", "share": "h", "group": "g",
    "new group": "n", "gone group": "x", "evaluated": "e",
}  # fmt: skip
_UNDATED = {"t", "c", "g", "n", "x"}
_LEVELS = {"step", "trend", "comparison"}
"""Tests that may find the same event, one better than the other."""


class LookToken(Struct, frozen=True):
    """The state of a series of looks. ``at``: when the last one was."""

    scope: str
    looks: int
    at: datetime
    events: tuple[Event, ...] = ()

    def to_text(self) -> str:
        """At most ``MAX_TOKEN`` characters; if not all events fit, the latest ones."""
        kept = sorted(self.events, key=lambda event: (-event.hour, event))[:MAX_EVENTS]
        events = "".join(event.to_text() for event in kept)
        minutes = int(self.at.timestamp() // 60)
        body = f"{VERSION}.{self.scope}.{_base36(self.looks)}.{_base36(minutes)}.{events}"
        return f"{body}.{_digest(body, 4)}"


class Look(BaseModel):
    """A look of a series. ``token``: for the next one."""

    number: int
    last: str | None = Field(default=None, description="when the previous look was; absent for the first")
    new: int = Field(description="changes not reported before")
    told_before: int
    token: str = Field(description="pass it to the next look")


def scope_of(*parts: object) -> str:
    """A digest of what a series covers."""
    return _digest(json_text([*parts]), 6)


def read_token(
    text: str | None, scope: str, now: datetime, *, about: str, anew: str = "omit token"
) -> LookToken | None:
    """The token of the last look; None for the first look.

    ``about``: what this look covers, in words; ``anew``: how to start a new series.

    Raises:
        InvalidArguments: if it cannot be read, is of another version, of other dashboards, or of the future.
    """
    if text is None or not text.strip():
        return None
    match = _TOKEN.fullmatch(text.strip())
    if match is None or _digest(text.strip().rpartition(".")[0], 4) != match[5]:
        what = UntrustedText(text, limit=40)
        raise _refused(f"{what} is not a complete token of a look; give the last answer's look.token unchanged", anew)
    if match[1] != scope:
        raise _refused(f"is of a series about something other than {about}; look at the same again", anew)
    at = datetime.fromtimestamp(int(match[3], 36) * 60, UTC)
    if at > now + CLOCK_ERROR:
        raise _refused(f"is of a look at {at:%Y-%m-%dT%H:%MZ}, which has not come yet; check the clock", anew)
    parts = [match[4][start : start + 14] for start in range(0, len(match[4]), 14)]
    events = tuple(Event(part[0], part[1:8], int(part[8:12], 36), int(part[12:], 36)) for part in parts)
    return LookToken(scope, int(match[2], 36), at, events)


def _refused(problem: str, anew: str) -> InvalidArguments:
    return InvalidArguments([Fault("token", f"{problem}, or {anew} to start a new series.")])


def event_of_line(line: str, now: datetime, earlier: Mapping[str, Event], pause: timedelta | None) -> Event:
    """The event of a failing expectation for a token: ``is_clear`` if an earlier look reported it.

    ``earlier``: the events of the last look, by digest.
    """
    digest = _digest(line, 7)
    before = earlier.get(digest)
    kind = "a" if before is None else before.kind
    age = _age([] if before is None else [before], pause)
    return Event(kind, digest, int(now.timestamp() // HOUR.total_seconds()), age)


def since_last_look(
    ranking: Sequence[RankedChange], tests: int, last: LookToken | None, scope: str, now: datetime
) -> tuple[list[RankedChange], Look]:
    """The changes as this look of the series reports them, new ones first; and the look.

    A new change is clear only if it is clear over the series, otherwise possible at most. A change that was reported as
    clear before keeps the verdict of this look.
    """
    pause = None if last is None else now - last.at
    share = share_of_look(pause)
    known = () if last is None else last.events
    rows, events = list[RankedChange](), list[Event]()
    repeated = set[Event]()
    for row in ranking:
        event = event_of(row, now)
        same = [earlier for earlier in known if earlier.is_same(event)]
        is_sure = row.is_clear and is_significant_in_look(row.change.p_value, tests, share)
        if is_sure or (row.is_clear and goes_on(row.change.p_value, tests, same)):
            event = event._replace(age=_age(same, pause))
        was_clear = any(earlier.is_clear for earlier in same)
        is_clear = is_sure and (row.change.how in EXACT or has_lasted(event.age * HOUR))
        change = row.change if is_clear or was_clear or not row.is_clear else row.change.limit(NOT_YET)
        rows.append(row._replace(change=change, told_before=was_clear or (bool(same) and not is_clear)))
        events.append(event._replace(kind=event.kind.upper()) if is_clear or was_clear else event)
        repeated.update(same)
    others = [earlier for earlier in known if earlier not in repeated and now - _time(earlier) <= MEMORY]
    events += [earlier._replace(age=0) for earlier in others]
    rows.sort(key=lambda row: (row.told_before, not row.is_clear))
    repeats = sum(row.told_before for row in rows)
    number = 1 if last is None else last.looks + 1
    token = LookToken(scope, number, now if last is None else max(now, last.at), tuple(events))
    return rows, Look(
        number=number,
        last=None if last is None else f"{last.at:%Y-%m-%dT%H:%MZ}",
        new=len(rows) - repeats,
        told_before=repeats,
        token=token.to_text(),
    )


def goes_on(p_value: float, tests: int, same: Sequence[Event]) -> bool:
    """Whether a change that the previous look found significant still is, at the share of a daily look.

    A look soon after another has too small a share to find anything, and must not interrupt the change.
    """
    return any(earlier.age for earlier in same) and is_significant_in_look(p_value, tests, share_of_look(None))


def _age(same: Sequence[Event], pause: timedelta | None) -> int:
    """For how many hours a change has been significant, from 1; with the pause if the previous look found it."""
    age = max((earlier.age for earlier in same), default=0)
    return age + round(pause / HOUR) if age and pause is not None else 1


def look_line(look: Look) -> str:
    """The line of an answer about the look."""
    if look.last is None:
        head = f"look 1 of a series: {PROMISE}"
    else:
        head = f"look {look.number}, the last at {look.last}: {look.new} new, {look.told_before} reported before"
    return f'{head}; next look: since "{LAST_LOOK}", token "{look.token}"'


def event_of(row: RankedChange, now: datetime) -> Event:
    """The event of a change for a token: the measure, its part, its direction and its time."""
    item = row.change
    if item.how == "outage":
        what = ["outage", row.survey.calls_key]
    else:
        sign = float(item.after or 0) >= float(item.before or 0)
        what = ["level" if item.how in _LEVELS else item.how, row.survey.measure, str(item.part), str(sign)]
    letter = _LETTERS[item.how] if item.at else _LETTERS["comparison"]
    at = moment_of(item.at) if item.at and letter not in _UNDATED else now
    return Event(letter, _digest(json_text(what), 7), int(at.timestamp() // HOUR.total_seconds()))


def _time(event: Event) -> datetime:
    return datetime.fromtimestamp(event.hour * HOUR.total_seconds(), UTC)


def _digest(text: str, length: int) -> str:
    whole = hashlib.blake2s(text.encode()).digest()
    return base64.urlsafe_b64encode(whole).decode()[:length]


def _base36(number: int) -> str:
    digits, text = "0123456789abcdefghijklmnopqrstuvwxyz", ""
    while number:
        number, digit = divmod(number, 36)
        text = digits[digit] + text
    return text or "0"
