"""Is everything in order? Settings, key, API, clock and chat clients, one line each; nothing is changed."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import version
from typing import Any

import msgspec
from msgspec import Struct

from cekura_dashboards import ToolContext
from cekura_dashboards.api.errors import DashboardsError, KeyRejected, Unreachable, WrongNetworkSetting
from cekura_dashboards_mcp.cli.entries import Check, check_entries
from cekura_dashboards_mcp.cli.install import Machine
from cekura_dashboards_mcp.cli.probe import ProbeAnswer, probe
from cekura_dashboards_mcp.connection import Connection

SKEW_S = 60
"""A clock that is off by more is told; the API's relative times then mean other instants than ours."""


class Examination(Struct, frozen=True):
    """The checks, in the order in which they were made, and what the probe found out; None if it was not asked for."""

    checks: list[Check]
    findings: list[ProbeAnswer] | None

    @property
    def passed(self) -> bool:
        return all(check.passed is not False for check in self.checks)

    def lines(self) -> list[str]:
        """One for each check, then the report of the probe."""
        marks = {True: "ok  ", False: "FAIL", None: "?   "}
        lines = [f"{marks[check.passed]} {check.name}: {check.told}" for check in self.checks]
        return [*lines, "", *report(self.findings)] if self.findings is not None else lines

    def to_json(self) -> dict[str, Any]:
        """The same for machines; ``passed`` null where it could not be checked."""
        data = {"version": version("cekura-dashboards-mcp"), "passed": self.passed, **msgspec.to_builtins(self)}
        return {name: value for name, value in data.items() if value is not None}


async def examine(connection: Connection, machine: Machine | None, *, with_probe: bool) -> Examination:
    """Check everything. ``machine`` None: leave its chat clients out."""
    try:
        clients = await check_entries(machine) if machine else []
        checks = await check_connection(connection, has_client=any(check.passed for check in clients))
        passed = all(check.passed is not False for check in checks)
        findings = None
        if with_probe and passed and connection.settings.api_key is not None:
            findings = await probe((await connection.tool_context(None)).for_one_call())
        return Examination(checks + clients, findings)
    finally:
        await connection.aclose()


async def check_connection(connection: Connection, *, has_client: bool) -> list[Check]:
    """Settings, key, API and clock in turn; what depends on one that failed is not asked.

    ``has_client``: a chat client of this machine has a key that works, so that none is needed here.
    """
    settings = connection.settings
    settings_text = f"{settings.base_url}, time zone {settings.time_zone}, {settings.timeout_s:g} s a call"
    checks = [Check("settings", True, settings_text + (", read-only" if settings.read_only else ""))]
    if settings.api_key is None:
        if has_client:
            return [*checks, Check("key", None, "none in this shell; set CEKURA_API_KEY to check the API from here")]
        return [*checks, Check("key", False, "none; set CEKURA_API_KEY, or try --sandbox")]
    checks.append(Check("key", True, f"given, digest {connection.caller(None)}"))
    try:
        context = (await connection.tool_context(None)).for_one_call()
    except WrongNetworkSetting as error:
        return [*checks, Check("API", False, str(error))]
    return [*checks, *await _check_api(context)]


async def _check_api(context: ToolContext) -> list[Check]:
    try:
        answer = await context.api.ask("GET", "/user/v1/projects/")
        projects = await context.api.projects()
    except Unreachable as error:
        return [Check("API", False, str(error))]
    except KeyRejected as error:
        return [Check("API", True, "answers"), Check("key", False, str(error))]
    except DashboardsError as error:
        return [Check("API", False, str(error))]
    wanted = context.settings.project_id
    visible = Check("projects", bool(projects), f"{len(projects)} visible" if projects else "none visible to this key")
    if wanted is not None and wanted not in {project.id for project in projects}:
        visible = Check(
            "projects", False, f"CEKURA_PROJECT_ID is {wanted}, which this key cannot see; look_up projects"
        )
    return [
        Check("API", True, "answers"),
        Check("key", True, "accepted"),
        visible,
        check_clock(answer.date, context.now()),
    ]


def check_clock(date: str | None, now: datetime) -> Check:
    """How far this machine's clock is from the API's, by its ``Date`` header."""
    try:
        theirs = parsedate_to_datetime(date or "")
        ahead_s = (theirs - now).total_seconds()
    except (TypeError, ValueError):
        return Check("clock", None, "the API does not say its time")
    difference_text = f"the API is {abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"
    return Check(
        "clock",
        abs(ahead_s) <= SKEW_S or None,
        difference_text + ("" if abs(ahead_s) <= SKEW_S else "; set this machine's clock"),
    )


MEANINGS = {
    ("override", "replace"): "an override stands in place of what is saved",
    ("override", "merge"): "an override is ANDed with what is saved",
    ("preview", "alone"): "a preview obeys its own filters only",
    ("preview", "merge"): "a preview also obeys the dashboard that it names",
}


def report(findings: list[ProbeAnswer]) -> list[str]:
    """Lines that can be pasted anywhere."""
    lines = [f"cekura-dashboards {version('cekura-dashboards-mcp')}: how this API reads what its documents leave open"]
    for finding in findings:
        meaning = MEANINGS.get((finding.question, finding.answer)) or finding.why
        lines.append(f"  {finding.question}: {finding.answer}" + (f" ({meaning})" if meaning else ""))
    return lines
