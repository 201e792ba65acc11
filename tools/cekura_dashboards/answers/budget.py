"""How reports are kept inside the budget: detail goes first, nothing is cut in the middle, and what went is told."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

from cekura_dashboards.answers.render import render_report
from cekura_dashboards.answers.report import WidgetBrief, WidgetReport
from cekura_dashboards.text import Foreign, cleaned, foreign

ONE_WIDGET = 1600
EACH_OF_SEVERAL = 600
WHOLE_ANSWER = 8000
STRUCTURED = 1.5
"""How many times the budget of the text the structured answer may take."""
FEW_GROUPS, FEW_SLICES, FEW_FINDINGS = 5, 4, 2
ALONE = "ask for this widget alone"
SEVERAL = 3
"""What is said of so many widgets is said once for all of them."""


def fit(reports: Sequence[WidgetReport], *, head: int = 0) -> list[WidgetReport]:
    """Keep each report, text and structure, inside the budget. Detail goes first; what went is told in the report."""
    if len(reports) == 1:
        each = ONE_WIDGET - head
    else:
        each = min(EACH_OF_SEVERAL, (WHOLE_ANSWER - head) // max(1, len(reports)) - 1)
    return [_fitted(item, each) for item in reports]


def told_once(reports: Sequence[WidgetReport]) -> tuple[list[WidgetReport], list[str]]:
    """The reports without what is said of several of them, and those texts, each with the widgets that it holds for."""
    holders = defaultdict[str, list[WidgetReport]](list)
    for item in reports:
        texts = [*(item.caveats or []), *_compared_notes(item)]
        for text in sorted({*texts}, key=texts.index):
            holders[text].append(item)
    said = {text: items for text, items in holders.items() if len(items) >= SEVERAL}
    lines = [f"{_who(items, len(reports))}: {text}" for text, items in said.items()]
    return [_without(item, said) for item in reports], lines


def _compared_notes(item: WidgetReport) -> list[str]:
    found: list[str] = (item.comparison or {}).get("notes") or []
    return found


def _who(items: Sequence[WidgetReport], count: int) -> str:
    return "all widgets" if len(items) == count else f"widgets {', '.join(str(item.widget.id) for item in items)}"


def _without(item: WidgetReport, said: Collection[str]) -> WidgetReport:
    changes: dict[str, Any] = {"caveats": [text for text in item.caveats or [] if text not in said] or None}
    if item.comparison and "notes" in item.comparison:
        rest = [text for text in _compared_notes(item) if text not in said]
        kept = {name: value for name, value in item.comparison.items() if name != "notes"}
        changes["comparison"] = kept | ({"notes": rest} if rest else {})
    return item.model_copy(update=changes)


def _fits(item: WidgetReport, budget: int) -> bool:
    if len(render_report(item)) > budget:
        return False
    return len(item.model_dump_json(by_alias=True, exclude_none=True)) <= STRUCTURED * budget


def _fitted(item: WidgetReport, budget: int) -> WidgetReport:
    """Shorten step by step: the series' counts, the series, the tails of groups, slices and findings, caveats."""
    steps = (
        _without_counts, _without_series, _short_groups, _short_top, _short_findings, _short_comparison, _short_caveats,
        _facts_only, _bare,
    )  # fmt: skip
    for step in steps:
        if _fits(item, budget):
            break
        item = step(item)
    return item


def _leaving(item: WidgetReport, what: str, **changes: Any) -> WidgetReport:
    left = [*(item.left_out or []), what] if what and what not in (item.left_out or []) else item.left_out
    return item.model_copy(update={**changes, "left_out": left})


def _without_counts(item: WidgetReport) -> WidgetReport:
    if item.series is None or item.series.n is None:
        return item
    without = item.series.model_copy(update={"n": None, "low": None, "high": None})
    return _leaving(item, f"n per bucket ({ALONE})", series=without)


def _without_series(item: WidgetReport) -> WidgetReport:
    if item.series is None:
        return item
    kept = [text for text in item.left_out or [] if not text.startswith("n per bucket")]
    return _leaving(item.model_copy(update={"left_out": kept}), f"series ({ALONE}, or fewer points)", series=None)


def _short_groups(item: WidgetReport) -> WidgetReport:
    if item.groups is None or len(item.groups.top) <= FEW_GROUPS:
        return item
    tail = item.groups.top[FEW_GROUPS:]
    held = item.groups.other or {"groups": 0, "n": 0}
    other = {"groups": held["groups"] + len(tail), "n": held["n"] + sum(row[1] or 0 for row in tail)}
    return _leaving(
        item, f"smaller groups ({ALONE})",
        groups=item.groups.model_copy(update={"top": item.groups.top[:FEW_GROUPS], "other": other}),
    )  # fmt: skip


def _short_top(item: WidgetReport) -> WidgetReport:
    """Fewer slices of a pie, and labels cut to 24 characters."""
    facts, groups = item.facts or {}, item.groups
    top: list[list[Any]] = facts.get("top") or []
    if groups:
        groups = groups.model_copy(update={"top": [[_cut(row[0]), *row[1:]] for row in groups.top]})
    if not top:
        return item.model_copy(update={"groups": groups})
    short = {**facts, "top": [[_cut(row[0]), *row[1:]] for row in top[:FEW_SLICES]]}
    if tail := top[FEW_SLICES:]:
        held = facts.get("other") or {"categories": 0, "n": 0, "pct": 0.0}
        short["other"] = {
            "categories": held["categories"] + len(tail),
            "n": held["n"] + sum(row[1] for row in tail),
            "pct": round(held["pct"] + sum(row[2] for row in tail), 1),
        }
    return _leaving(item, f"smaller slices and long labels ({ALONE})", facts=short, groups=groups)


def _cut(label: str | None) -> str | None:
    return label if label is None or not isinstance(label, Foreign) else Foreign(label, limit=24)


def _short_findings(item: WidgetReport) -> WidgetReport:
    findings = item.findings or []
    if len(findings) <= FEW_FINDINGS:
        return item
    what = f"{len(findings) - FEW_FINDINGS} more findings ({ALONE})"
    return _leaving(item, what, findings=findings[:FEW_FINDINGS])


def _short_comparison(item: WidgetReport) -> WidgetReport:
    """Fewer contributors and changed shares."""
    found = dict(item.comparison or {})
    for name in ("contributors", "shares"):
        if name in found and len(found[name]["top"]) > FEW_FINDINGS:
            more = found[name].get("more", 0) + len(found[name]["top"]) - FEW_FINDINGS
            found[name] = {**found[name], "top": found[name]["top"][:FEW_FINDINGS], "more": more}
    return item.model_copy(update={"comparison": found or None})


def _short_caveats(item: WidgetReport) -> WidgetReport:
    caveats = item.caveats or []
    return _leaving(item, f"some caveats ({ALONE})", caveats=[cleaned(c, limit=160) for c in caveats[:3]] or None)


def _facts_only(item: WidgetReport) -> WidgetReport:
    name = foreign(item.widget.name, limit=40)
    widget = WidgetBrief(id=item.widget.id, name=name, chart_type=item.widget.chart_type)
    error = cleaned(item.error, limit=200) if item.error else None
    return _leaving(
        item, "", widget=widget, window=None, groups=None, findings=None, caveats=None, not_tested=None, error=error,
        left_out=None if error else [f"details ({ALONE})"],
    )  # fmt: skip


def _bare(item: WidgetReport) -> WidgetReport:
    """The last resort, for dashboards of dozens of widgets: one figure each."""
    keys = ("overall", "total", "rate", "mean", "total_calls", "success_rate", "min", "max")
    facts = {key: value for key, value in (item.facts or {}).items() if key in keys}
    first = dict(list(facts.items())[:1])
    left = ["details"] if item.error is None else None
    return item.model_copy(
        update={"facts": first or None, "left_out": left, "error": item.error and cleaned(item.error, limit=80)}
    )
