from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.flows import steps

GOOD: list[Any] = [
    ["compliance"],
    ["onboarded"],  # like an automatic step's name, but another
    [{"name": "moon-landing", "redirect_url": 17}],  # an option that is checked elsewhere only
    [{"name": "compliance", "template_id": 17}],
    ["a" * 100],
    [f"step-{number}" for number in range(50)],
    ("compliance", "payout"),
]


@pytest.mark.parametrize("wanted", GOOD, ids=lambda wanted: str(wanted)[:50])
def test_what_is_not_known_to_be_wrong_passes(wanted: Any) -> None:
    """Unknown steps and options are Dots' to judge."""
    assert steps.check(wanted) == []


BAD = [
    (None, "steps", "must name at least one step"),
    ([], "steps", "must name at least one step"),
    ("compliance", "steps", "must name at least one step"),
    (["a"] * 51, "steps", "must name at most 50 steps"),
    ([["compliance"]], "steps.0", "must be a step's name, or an object with one as `name`"),
    ([{"name": None}], "steps.0.name", "must be a step's name, or an object with one as `name`"),
    (["onboard"], "steps.0", "onboard is added by Dots itself; leave it out"),
    (["payout", "payout"], "steps.1", "payout is there twice"),
    (["payout", {"name": "payout"}], "steps.1", "payout is there twice"),
    (["redirect"], "steps.0.redirect_url", "is required for a redirect"),
    (
        [{"name": "payout", "payout_fee_party": "nobody"}],
        "steps.0.payout_fee_party",
        'must be "platform" or "user"',
    ),
    (
        [{"name": "compliance", "hide_continue_button": 1}],
        "steps.0.hide_continue_button",
        "must be true or false",
    ),
]


@pytest.mark.parametrize(("wanted", "field", "message"), BAD, ids=lambda value: str(value)[:50])
def test_what_is_wrong_is_named(wanted: Any, field: str, message: str) -> None:
    """A complaint has the field's dotted path and a sentence a person can act on."""
    assert [(problem.field, problem.message) for problem in steps.check(wanted)] == [(field, message)]


def test_one_bad_step_does_not_hide_the_next() -> None:
    """Every problem is told at once, first step first."""
    wanted = [5, "onboard", {"name": "redirect", "redirect_url": "x", "hide_continue_button": 0}, "payout", "payout"]

    assert [problem.field for problem in steps.check(wanted)] == [
        "steps.0",
        "steps.1",
        "steps.2.hide_continue_button",
        "steps.2.redirect_url",
        "steps.4",
    ]


@pytest.mark.parametrize(("step", "name"), [("compliance", "compliance"), ({"name": "payout", "a": 1}, "payout")])
def test_step_has_a_name_either_way(step: Any, name: str) -> None:
    """A step is a name, or an object with one."""
    assert steps.name_of(step) == name


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(sorted(steps.KNOWN_OPTIONS)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "redirect_url", "template_id"]) | st.text(max_size=5), inner, max_size=4
        )
    ),
    max_leaves=10,
)


@given(anything)
def test_check_is_total(wanted: object) -> None:
    """Any JSON gets an answer, and every complaint says which field it is about."""
    assert all(problem.field.startswith("steps") and problem.message for problem in steps.check(wanted))


@given(st.text())
def test_no_redirect_url_breaks_the_check(url: str) -> None:
    """Whatever a URL looks like, it is taken or refused."""
    problems = steps.check([{"name": "redirect", "redirect_url": url}])

    assert [problem.field for problem in problems] in ([], ["steps.0.redirect_url"])
