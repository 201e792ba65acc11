"""Plan ids: valid for the same operations on unchanged objects, for an hour, for one key."""

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


def rejection_of(plan_id: str, operations: Any = OPERATIONS, covered: Any = COVERED, signer: Signer = SIGNER) -> str:
    with pytest.raises(PlanRefused) as caught:
        signer.check(plan_id, operations, [covered])
    return str(caught.value)


def test_a_plan_is_valid_in_any_order_of_keys() -> None:
    plan_id = SIGNER.issue(OPERATIONS, COVERED)
    SIGNER.check(plan_id, dict(reversed(OPERATIONS.items())), [dict(reversed(COVERED.items()))])
    assert len(plan_id) < 80


def test_a_plan_is_rejected_for_other_operations() -> None:
    assert "differ from the plan's" in rejection_of(SIGNER.issue(OPERATIONS, COVERED), {"delete": [13]})


def test_a_rejected_plan_names_the_changed_value() -> None:
    moved = {**COVERED, "widget 12": {"name": "Newer", "filters": None}}
    message = rejection_of(SIGNER.issue(OPERATIONS, COVERED), covered=moved)
    assert 'widget 12 changed: name is now "Newer"' in message
    assert "filters" not in message
    assert "Nothing was changed" in message


def test_a_rejected_plan_names_the_changed_widget_among_many() -> None:
    message = rejection_of(SIGNER.issue(OPERATIONS, MANY), covered={**MANY, "widget 7": {"name": "x"}})
    assert "widget 7 changed" in message
    assert "widget 8" not in message


def test_a_plan_expires_after_an_hour() -> None:
    plan_id = SIGNER.issue(OPERATIONS, COVERED)
    later = Signer(SIGNER.key, NOW + timedelta(minutes=59))
    later.check(plan_id, OPERATIONS, [COVERED])
    assert "more than an hour old" in rejection_of(plan_id, signer=Signer(SIGNER.key, NOW + timedelta(hours=1)))


def test_a_plan_of_another_key_is_rejected() -> None:
    assert "is not valid for this key" in rejection_of(
        SIGNER.issue(OPERATIONS, COVERED), signer=Signer(SecretStr("other"), NOW)
    )


def test_a_plan_with_a_forged_expiry_is_rejected() -> None:
    head, *rest = SIGNER.issue(OPERATIONS, COVERED).split(".")
    assert "is not valid" in rejection_of(".".join(["dzzzzzzz", *rest]))
    assert head != "dzzzzzzz"


def test_the_origin_of_a_plan_is_part_of_its_signature() -> None:
    dry, undo = SIGNER.issue(OPERATIONS, COVERED), SIGNER.issue(OPERATIONS, COVERED, origin="undo")
    assert SIGNER.check(dry, OPERATIONS, [COVERED]) == "dry run"
    assert SIGNER.check(undo, OPERATIONS, [COVERED]) == "undo"
    assert "is not valid" in rejection_of("u" + dry[1:])


@given(
    st.text(max_size=60)
    | st.from_regex(r"[du][0-9a-z]{1,12}\.[A-Za-z0-9_-]{0,8}\.[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,24}", fullmatch=True)
)
def test_arbitrary_text_is_rejected_as_a_plan_id(text: str) -> None:
    assert rejection_of(text)


covered_things = st.dictionaries(
    st.sampled_from([f"widget {i}" for i in range(9)]),
    st.dictionaries(
        st.sampled_from(["name", "filters", "metric"]), st.none() | st.integers() | st.text(max_size=5), min_size=1
    ),
    max_size=9,
)


@given(covered_things, covered_things)
def test_a_plan_is_valid_only_for_the_objects_that_it_covers(first: Any, second: Any) -> None:
    plan_id = SIGNER.issue(OPERATIONS, first)
    if first == second:
        SIGNER.check(plan_id, OPERATIONS, [second])
    else:
        rejection_of(plan_id, covered=second)
