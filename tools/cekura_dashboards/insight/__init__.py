"""Chart data in, summary out. Pure: no I/O, no clock; the window and now come with the request."""

from cekura_dashboards.insight.bar import bar
from cekura_dashboards.insight.buckets import combine
from cekura_dashboards.insight.calls import CallValues, grain_of
from cekura_dashboards.insight.clock import Clock
from cekura_dashboards.insight.compare import compare
from cekura_dashboards.insight.comparison import Comparison, MeasureKind
from cekura_dashboards.insight.drivers import Driver, GroupedSample, find_driver
from cekura_dashboards.insight.line import line
from cekura_dashboards.insight.model import Bucket, Groups, Point, Series, Slice, Summary
from cekura_dashboards.insight.pie import pie
from cekura_dashboards.insight.side import Sample, SampleBucket
from cekura_dashboards.insight.stat import rate_unit, stat
from cekura_dashboards.insight.timeline import Span
from cekura_dashboards.insight.verdicts import VerdictTerms

__all__ = [
    "Bucket",
    "CallValues",
    "Clock",
    "Comparison",
    "Driver",
    "GroupedSample",
    "Groups",
    "MeasureKind",
    "Point",
    "Sample",
    "SampleBucket",
    "Series",
    "Slice",
    "Span",
    "Summary",
    "VerdictTerms",
    "bar",
    "combine",
    "compare",
    "find_driver",
    "grain_of",
    "line",
    "pie",
    "rate_unit",
    "stat",
]  # fmt: skip
