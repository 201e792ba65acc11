"""Profiles as text: hours and weekdays with their values, and which stand out."""

from collections.abc import Sequence

from cekura_dashboards.stats.numbers import Number
from cekura_dashboards.summaries.profile import Profile, SlotShown, names_of

HOURS = 24
FLAT = {"within noise": "no more than chance apart from flat", "not tested": "too few days to tell it from flat"}


def profile_lines(profile: Profile) -> list[str]:
    """``by hour_of_day in Europe/Berlin: not flat, clear``, then the values."""
    lines = [f"by {profile.by} in {profile.zone}: {FLAT.get(profile.verdict, f'not flat, {profile.verdict}')}"]
    extremes = [
        ("highest", profile.highest), ("lowest", profile.lowest), ("highest on weekdays", profile.highest_on_weekdays),
    ]  # fmt: skip
    lines.append("; ".join(f"{name} {_slot(slot)}" for name, slot in extremes if slot))
    for word, names in (("above the others", profile.above), ("below the others", profile.below)):
        if names:
            lines.append(f"clearly {word}: {', '.join(names)}")
    names = names_of(profile.by)
    for lead, values in (
        ("", profile.value), ("n ", profile.n), ("on weekdays ", profile.weekdays), ("on weekends ", profile.weekend),
    ):  # fmt: skip
        lines += _values(lead, names, values) if values else []
    return [line for line in lines if line]


def _slot(slot: SlotShown) -> str:
    return f"{slot.slot} {slot.value!r}" + (f" n {slot.n!r}" if slot.n is not None else "")


def _values(lead: str, slots: Sequence[str], values: Sequence[Number | None]) -> list[str]:
    """From the first slot on; a week of hours has a line for each day."""
    texts = ["-" if value is None else repr(value) for value in values]
    step = min(len(values), HOURS)
    return [
        f"{lead}{slots[start]} to {slots[start + step - 1]}: {' '.join(texts[start : start + step])}"
        for start in range(0, len(values), step)
    ]
