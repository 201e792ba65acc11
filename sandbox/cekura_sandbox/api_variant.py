"""The API's published documents leave some questions open; a sandbox can answer each of them either way."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class ApiVariant:
    """One possible API. The defaults are the plainest reading of the documents."""

    override: Literal["replace", "merge"] = "replace"
    """An override stands alone, in place of everything saved; or is ANDed with dashboard and widget filters."""
    preview: Literal["alone", "merge"] = "alone"
    """A preview obeys its own filters only; or also those of the dashboard it names."""
    grouped: Literal["key", "field", "nested"] = "key"
    """A grouped row carries ``group``; or the grouped field's name; or rows stand in ``{group, data}``."""
    booleans: Literal["true", "1"] = "true"
    rates: Literal["ratio", "percent"] = "ratio"
    binary: Literal["boolean", "0/5"] = "boolean"
    """A binary metric is true or false; or a score of 0 or 5, charted as a number, one type by an older name."""
    stat: Literal["object", "array"] = "object"
    buckets: Literal["utc", "bare"] = "utc"
    """``time_interval`` ends in Z, or carries no offset."""
    empty_buckets: Literal["omit", "null"] = "omit"
    predefined: Literal["object", "list"] = "object"
    """Ready-made widgets come in an object, as the document says, or as a list."""
    preview_answer: Literal["whole", "short"] = "whole"
    """A preview's answer names ``widget_id``, ``group_by`` and ``can_group_by``; or leaves them out."""
    call_metadata: Literal["absent", "present"] = "absent"
    """A listed call comes without its metadata, as documented; or with it."""
    clock_ahead_s: float = 0
    """How far the API's clock runs ahead of the caller's, 0 to 120 seconds."""
