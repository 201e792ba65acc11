"""Plan ids: they hold for the same operations on what has not moved, for an hour, for one key."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from cekura_dashboards.api.errors import PlanRefused
from cekura_dashboards.edits.plan_id import Signer
from support import KEY, NOW

SIGNER = Signer(SecretStr(KEY), NOW)
OPERATIONS: dict[str, Any] = {"delete": [12], "update": {"13": {"name": "New"}}}
COVERED: dict[str, dict[str, Any]] = {
    "widget 12": {"name": "Old", "filters": None},
    "dashboard 3": {"widgets": [12, 13]},
}
MANY: dict[str, dict[str, Any]] = {f"widget {i}": {"name": f"W{i}"} for i in range(20)}


def refused(plan_id: str, operations: Any = OPERATIONS, covered: Any = COVERED, signer: Signer = SIGNER) -> str:
    with pytest.raises(PlanRefused) as caught:
        signer.check(plan_id, operations, [covered])
    return str(caught.value)


def test_a_plan_holds_whatever_the_order_of_keys() -> None:
    plan_id = SIGNER.issue(OPERATIONS, COVERED)
    SIGNER.check(plan_id, dict(reversed(OPERATIONS.items())), [dict(reversed(COVERED.items()))])
    assert len(plan_id) < 80


def test_other_operations_are_refused() -> None:
    assert "differ from the plan's" in refused(SIGNER.issue(OPERATIONS, COVERED), {"delete": [13]})


def test_what_moved_is_named_with_its_new_value() -> None:
    moved = {**COVERED, "widget 12": {"name": "Newer", "filters": None}}
    told = refused(SIGNER.issue(OPERATIONS, COVERED), covered=moved)
    assert 'widget 12 changed: name is now "Newer"' in told
    assert "filters" not in told
    assert "Nothing was changed" in told


def test_of_many_widgets_the_one_that_moved_is_named() -> None:
    told = refused(SIGNER.issue(OPERATIONS, MANY), covered={**MANY, "widget 7": {"name": "x"}})
    assert "widget 7 changed" in told
    assert "widget 8" not in told


def test_a_plan_ends_after_an_hour() -> None:
    plan_id = SIGNER.issue(OPERATIONS, COVERED)
    later = Signer(SIGNER.key, NOW + timedelta(minutes=59))
    later.check(plan_id, OPERATIONS, [COVERED])
    assert "more than an hour old" in refused(plan_id, signer=Signer(SIGNER.key, NOW + timedelta(hours=1)))


def test_a_plan_of_another_key_is_refused() -> None:
    assert "is not valid for this key" in refused(
        SIGNER.issue(OPERATIONS, COVERED), signer=Signer(SecretStr("other"), NOW)
    )


def test_a_prolonged_expiry_does_not_fit() -> None:
    head, *rest = SIGNER.issue(OPERATIONS, COVERED).split(".")
    assert "is not valid" in refused(".".join(["dzzzzzzz", *rest]))
    assert head != "dzzzzzzz"


def test_a_plan_says_signed_whether_it_is_of_a_dry_run_or_of_an_undo() -> None:
    dry, undo = SIGNER.issue(OPERATIONS, COVERED), SIGNER.issue(OPERATIONS, COVERED, origin="undo")
    assert SIGNER.check(dry, OPERATIONS, [COVERED]) == "dry run"
    assert SIGNER.check(undo, OPERATIONS, [COVERED]) == "undo"
    assert "is not valid" in refused("u" + dry[1:])


@given(
    st.text(max_size=60)
    | st.from_regex(r"[du][0-9a-z]{1,12}\.[A-Za-z0-9_-]{0,8}\.[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,24}", fullmatch=True)
)
def test_any_other_text_is_refused(text: str) -> None:
    assert refused(text)


covered_things = st.dictionaries(
    st.sampled_from([f"widget {i}" for i in range(9)]),
    st.dictionaries(
        st.sampled_from(["name", "filters", "metric"]), st.none() | st.integers() | st.text(max_size=5), min_size=1
    ),
    max_size=9,
)


@given(covered_things, covered_things)
def test_a_plan_holds_exactly_for_what_it_covers(first: Any, second: Any) -> None:
    plan_id = SIGNER.issue(OPERATIONS, first)
    if first == second:
        SIGNER.check(plan_id, OPERATIONS, [second])
    else:
        refused(plan_id, covered=second)
