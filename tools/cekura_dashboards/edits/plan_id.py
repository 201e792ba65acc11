"""The token that ties an edit to its dry run without server state, and the stored fields that it covers.

A ``plan_id`` contains an expiry and an HMAC, keyed from the caller's API key, over the operations and the stored state
when they were planned; and short digests of the same, which authorize nothing but identify what changed. Its origin is
signed too: a dry run, which is not the user's consent, or a receipt, whose undo restores the former state.
"""

import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct
from pydantic import SecretStr

from cekura_dashboards.api.errors import PlanRefused
from cekura_dashboards.api.models import WRITABLE, Dashboard, JsonObject, Widget, or_none, same
from cekura_dashboards.context import ToolContext
from cekura_dashboards.text import join_names, short_json

LIFETIME = timedelta(hours=1)
EXPIRY = re.compile(r"[du][0-9a-z]{1,9}", re.ASCII)
Origin = Literal["dry run", "undo"]
LETTERS: dict[Origin, str] = {"dry run": "d", "undo": "u"}
DETAILED = 6
"""Up to this many covered things, the digests are per field."""

Covered = Mapping[str, Mapping[str, Any]]
"""The state that must not change: stored fields by name (``widget 12``)."""


class Signer(Struct, frozen=True):
    """Issues and checks plan ids for one key at one time."""

    key: SecretStr
    now: datetime

    def issue(self, operations: Any, covered: Covered, *, origin: Origin = "dry run") -> str:
        expiry = int((self.now + LIFETIME).timestamp())
        return ".".join(
            [
                LETTERS[origin] + _base36(expiry),
                _digest(operations, 6),
                _digests(covered),
                self._mac(origin, expiry, operations, covered),
            ]
        )

    @staticmethod
    def origin(plan_id: str) -> Origin:
        """The origin that a plan id claims; ``check`` verifies it."""
        return "undo" if plan_id.strip().startswith(LETTERS["undo"]) else "dry run"

    def check(self, plan_id: str, operations: Any, covered: Sequence[Covered]) -> Origin:
        """The origin of a valid plan id. ``covered``: the state, under each set of ids that the plan may have used.

        Raises:
            PlanRefused: with the differences from the first.
        """
        parts = plan_id.strip().split(".")
        if len(parts) != 4 or not EXPIRY.fullmatch(parts[0]):  # noqa: PLR2004 - as issued
            raise PlanRefused("plan_id was not issued by this server. Call again without plan_id to get one.")
        origin = self.origin(plan_id)
        expiry = int(parts[0][1:], 36)
        if expiry <= self.now.timestamp():
            raise PlanRefused(
                "Nothing was changed: the plan is more than an hour old. Call again without plan_id for a new one."
            )
        mac = parts[3].encode()
        if any(
            hmac.compare_digest(mac, self._mac(origin, expiry, operations, candidate).encode()) for candidate in covered
        ):
            return origin
        if parts[1] != _digest(operations, 6):
            raise PlanRefused(
                "Nothing was changed: the arguments differ from the plan's. Repeat them exactly, or call without "
                "plan_id for a new plan."
            )
        moved = _moved_fields(parts[2], covered[0])
        if moved:
            raise PlanRefused(
                f"Nothing was changed: since the plan was made, {'; '.join(moved)}. "
                "Check with get_dashboard, then call without plan_id for a new plan."
            )
        raise PlanRefused("plan_id is not valid for this key. Call again without plan_id to get one.")

    def fingerprint(self, content: Any) -> str:
        """An eight-character digest of a content under this key."""
        return _text(hmac.new(self._secret(), canonical(content), hashlib.sha256).digest())[:8]

    def _mac(self, origin: Origin, expiry: int, operations: Any, covered: Covered) -> str:
        message = canonical([origin, expiry, operations, covered])
        return _text(hmac.new(self._secret(), message, hashlib.sha256).digest()[:16])

    def _secret(self) -> bytes:
        return hashlib.sha256(b"cekura-dashboards plan\0" + self.key.get_secret_value().encode()).digest()


def canonical(value: Any) -> bytes:
    """Canonical bytes of a JSON value, independent of key order."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str).encode()


def _digests(covered: Covered) -> str:
    if len(covered) > DETAILED:
        return "".join(_digest(covered[name], 4) for name in sorted(covered))
    return "".join(_digest(covered[name][field], 2) for name in sorted(covered) for field in sorted(covered[name]))


def _moved_fields(digests: str, covered: Covered) -> list[str]:
    """The differences from the digested state, with the new values."""
    if len(covered) > DETAILED:
        expected = [(name, "", _digest(covered[name], 4)) for name in sorted(covered)]
    else:
        expected = [
            (name, field, _digest(covered[name][field], 2))
            for name in sorted(covered)
            for field in sorted(covered[name])
        ]
    if len(digests) != sum(len(digest) for _, _, digest in expected):
        return [f"things were added or removed; now: {join_names(sorted(covered))}"]
    moved, place = list[str](), 0
    for name, field, digest in expected:
        if digests[place : place + len(digest)] != digest:
            is_now = f": {field} is now {short_json(covered[name].get(field))}" if field else ""
            moved.append(f"{name} changed{is_now}")
        place += len(digest)
    return moved


def _digest(value: Any, characters: int) -> str:
    return _text(hashlib.sha256(canonical(value)).digest())[:characters]


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, rest = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[rest] + digits
    return digits


def signer(context: ToolContext) -> Signer:
    return Signer(context.api.key, context.now())


def covered_widgets(widgets: list[Widget]) -> dict[str, JsonObject]:
    """The state of these widgets that a plan covers."""
    return {f"widget {widget.id}": stored_fields(widget.writable()) for widget in widgets}


def stored_fields(fields: JsonObject) -> JsonObject:
    """Writable fields, empty strings as null."""
    return {name: or_none(fields.get(name)) for name in WRITABLE}


def covered_dashboard(number: int, filters: Any, widgets: list[int], **more: Any) -> dict[str, JsonObject]:
    """A dashboard's filters and widget ids, on which creates depend; ``more``: further fields."""
    return {f"dashboard {number}": {"filters": filters or None, "widgets": sorted(widgets), **more}}


def covered_whole(dashboard: Dashboard) -> Covered:
    """The dashboard's own fields, and every widget on it."""
    return {**covered_setup(dashboard), **covered_widgets(dashboard.widgets)}


def covered_setup(dashboard: Dashboard) -> Covered:
    """The dashboard's own fields, and which widgets it has."""
    return covered_dashboard(
        dashboard.id,
        dashboard.stored("filters"),
        [widget.id for widget in dashboard.widgets],
        name=dashboard.name or None,
        project=dashboard.project,
    )


def covered_namesakes(numbers: Sequence[int]) -> Covered:
    """The dashboards of a name: one more means that it was already created."""
    return {"dashboards of this name": {"dashboards": sorted(numbers)}}


def covered(dashboard: Dashboard, touched: Sequence[Widget]) -> Covered:
    """The touched widgets, and the dashboard's filters and widget ids, on which creates depend."""
    whole = covered_dashboard(dashboard.id, dashboard.stored("filters"), [w.id for w in dashboard.widgets])
    return {**covered_widgets([*touched]), **whole}


def covered_fields(dashboard: Dashboard) -> Covered:
    """The dashboard's own fields, whatever widgets it has."""
    fields = {"filters": dashboard.stored("filters") or None, "name": dashboard.name or None}
    return {f"dashboard {dashboard.id}": fields}


def covered_alike(number: int, widgets: Sequence[Widget], restored: Sequence[JsonObject]) -> Covered:
    """The widgets like those that an undo restores: one more means that it was already done."""
    if not restored:
        return {}
    alike = [widget.id for widget in widgets if any(_is_alike(widget, config) for config in restored)]
    return {f"dashboard {number}": {"widgets like those that were deleted": sorted(alike)}}


def _is_alike(widget: Widget, config: JsonObject) -> bool:
    """Whether it has that name or plots the same; stats plot no field and would always match."""
    plot_fields = [name for name in WRITABLE if name not in {"name", "metadata"}]
    named = bool(widget.name) and widget.name == config.get("name")
    return named or (
        bool(config.get("field")) and all(same(widget.stored(name), config.get(name)) for name in plot_fields)
    )
