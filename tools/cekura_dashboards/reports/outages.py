"""One outage is told once: of one chart, with the others of the same calls named."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cekura_dashboards.charts.target import Target
from cekura_dashboards.reports.report import WidgetReport
from cekura_dashboards.stats.findings import Gap
from cekura_dashboards.stats.outages import is_one_event
from cekura_dashboards.stats.timeline import moment_of
from cekura_dashboards.text import json_text

HOUR_LONG = timedelta(hours=1)


def without_repeated_outages(targets: Sequence[Target], reports: Sequence[WidgetReport]) -> list[WidgetReport]:
    """The reports; an outage of the same calls is told of one chart, a count if there is one, with the others named."""
    first, told = dict[str, int](), [*reports]
    for place in sorted(range(len(reports)), key=lambda i: targets[i].config.function != "count"):
        report, target = told[place], targets[place]
        gaps = [item for item in report.findings or [] if isinstance(item, Gap)]
        if not gaps or report.widget.id is None:
            continue
        key = json_text([target.calls, target.project or target.dashboard])
        if first.setdefault(key, place) == place:
            continue
        main = told[first[key]]
        known = [item for item in main.findings or [] if isinstance(item, Gap)]
        repeats = [gap for gap in gaps if any(is_one_event(_ends(gap), _ends(other)) for other in known)]
        if not repeats:
            continue
        others = [
            _told_with(item, repeats, report.widget.id) if isinstance(item, Gap) else item
            for item in main.findings or []
        ]
        told[first[key]] = main.model_copy(update={"findings": others})
        left = [item for item in report.findings or [] if item not in repeats]
        told[place] = report.model_copy(update={"findings": left, "outage_of": main.widget.id})
    return told


def _told_with(gap: Gap, others: Sequence[Gap], widget: int) -> Gap:
    """An outage with another widget that has it, from the last call where that is known."""
    same = [other for other in others if is_one_event(_ends(gap), _ends(other))]
    if not same:
        return gap
    start = gap.start
    for other in same:
        if gap.still and other.still and timedelta(0) < moment_of(start) - moment_of(other.start) <= HOUR_LONG:
            start = other.start
    return gap.model_copy(update={"start": start, "widgets": [*(gap.widgets or []), widget]})


def _ends(gap: Gap) -> tuple[datetime, datetime]:
    return moment_of(gap.start), moment_of(gap.end)
