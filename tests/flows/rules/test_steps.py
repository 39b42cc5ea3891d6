from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows.rules import steps

GOOD: list[Any] = [
    ["compliance"],
    ["onboard", "compliance"],
    [{"name": "authorization", "hide_continue_button": True}],
    ["onboarding", "authentication", "payment", "credit-card-payment"],
    ["onboarded"],
    [{"name": "moon-landing", "redirect_url": 17}],  # An option that is checked only for other steps.
    [{"name": "compliance", "template_id": 17}],
    ["a" * 100],
    [f"step-{number}" for number in range(50)],
    ("compliance", "payout"),
    [{"name": "pdf-form-fill", "template_id": "t"}],
    [{"name": "payout", "payout_fee_party": "platform"}],
]


@pytest.mark.parametrize("wanted", GOOD, ids=lambda wanted: str(wanted)[:50])
def test_valid_and_unknown_steps_pass(wanted: Any) -> None:
    """Unknown steps and options pass, because only Dots knows them."""
    assert steps.check(wanted) == []


BAD = [
    (None, "steps", "must name at least one step"),
    ([], "steps", "must name at least one step"),
    ("compliance", "steps", "must name at least one step"),
    (["a"] * 51, "steps", "must name at most 50 steps"),
    ([["compliance"]], "steps.0", "must be a step's name, or an object with one as `name`"),
    ([{"name": None}], "steps.0.name", "must be a step's name, or an object with one as `name`"),
    (["pdf-form-fill"], "steps.0.template_id", "is required for a pdf-form-fill"),
    ([{"name": "pdf-form-fill", "template_id": ""}], "steps.0.template_id", "must be a text that is not empty"),
    ([{"name": "pdf-form-fill", "template_id": 17}], "steps.0.template_id", "must be a text that is not empty"),
    (["a" * 101], "steps.0", "must be a step's name, or an object with one as `name`"),
    ([""], "steps.0", "must be a step's name, or an object with one as `name`"),
    (["moon\x00landing"], "steps.0", "must be a step's name, or an object with one as `name`"),
    (["payout", "payout"], "steps.1", "payout is there twice"),
    (["payout", {"name": "payout"}], "steps.1", "payout is there twice"),
    (["redirect"], "steps.0.redirect_url", "is required for a redirect"),
    (
        [{"name": "redirect", "redirect_url": "shop.com"}],
        "steps.0.redirect_url",
        "must begin with http:// or https://",
    ),
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
def test_problem_names_its_field(wanted: Any, field: str, message: str) -> None:
    """A problem has the field's dotted path and a message."""
    assert [(problem.field, problem.message) for problem in steps.check(wanted)] == [(field, message)]


def test_one_bad_step_does_not_hide_the_next() -> None:
    """All problems are reported together, in the order of the steps."""
    wanted = [5, "Onboard", {"name": "redirect", "redirect_url": "x", "hide_continue_button": 0}, "payout", "payout"]

    assert [problem.field for problem in steps.check(wanted)] == [
        "steps.0",
        "steps.1",
        "steps.2.hide_continue_button",
        "steps.2.redirect_url",
        "steps.4",
    ]


MISSPELT = [
    ("Redirect", "redirect"),
    ("redirect ", "redirect"),
    ("\tredirect\n", "redirect"),
    ("re\u00a0direct", "redirect"),
    ("redirect\u200b", "redirect"),
    ("\uff32edirect", "redirect"),
    ("background check", "background-check"),
    ("background_check", "background-check"),
    ("Background\u2010Check", "background-check"),
    ("PDF-form-fill", "pdf-form-fill"),
    ("ONBOARD", "onboard"),
]


@pytest.mark.parametrize(("given", "right"), MISSPELT, ids=ascii)
def test_misspelt_name_is_refused_with_the_right_one(given: str, right: str) -> None:
    """Another case, white space or hyphen must not bypass the check of the options."""
    wanted = [given, {"name": given, "redirect_url": "https://paypal.com@evil.example"}]

    assert [(problem.field, problem.message) for problem in steps.check(wanted)] == [
        ("steps.0", f"must be written {right}"),
        ("steps.1.name", f"must be written {right}"),
    ]


WARNED = [
    (["compliance", "payout"], []),
    (["complience"], ["did you mean compliance?"]),
    ([{"name": "id-verificaton"}], ["did you mean id-verification?"]),
    (["payouts"], ["did you mean payout?"]),
    (["moon-landing"], []),
    (["onboarding", "credit-card-payment"], []),
    ([{"name": "redirect", "redirect_url": "https://a.example/"}], ["steps.0.redirect_url: "]),
    ([{"name": "redirect", "redirect_url": "https://shop.com/"}], []),
    (
        ["complience", {"name": "redirect", "redirect_url": "http://127.0.0.1/"}],
        ["did you mean compliance?", "steps.1.redirect_url: 127.0.0.1 is the payee's own machine"],
    ),
]


@pytest.mark.parametrize(("wanted", "beginnings"), WARNED, ids=str)
def test_possible_mistakes_give_warnings(wanted: Any, beginnings: list[str]) -> None:
    """An unknown step that looks like a known one passes with a warning, and so does an unusual URL."""
    assert steps.check(wanted) == []
    found = steps.warnings(wanted)

    assert len(found) == len(beginnings)
    assert all(warning.startswith(beginning) for warning, beginning in zip(found, beginnings, strict=True))


def test_a_redirect_to_this_machine_is_for_a_simulator() -> None:
    """Both checks allow localhost only for a simulated Dots."""
    wanted = [{"name": "redirect", "redirect_url": "http://localhost:3000/"}]

    assert steps.check(wanted, allows_localhost=True) == []
    assert steps.warnings(wanted, allows_localhost=True) == []
    assert [problem.field for problem in steps.check(wanted)] == ["steps.0.redirect_url"]


@pytest.mark.parametrize(("step", "name"), [("compliance", "compliance"), ({"name": "payout", "a": 1}, "payout")])
def test_step_has_a_name_either_way(step: Any, name: str) -> None:
    """A step is a name or an object with a name."""
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


@settings(deadline=None, max_examples=40)  # A busy machine must not fail the test.
@given(anything)
def test_check_is_total(wanted: object) -> None:
    """Any JSON can be checked, and each problem names its field."""
    assert all(problem.field.startswith("steps") and problem.message for problem in steps.check(wanted))


@settings(deadline=None, max_examples=40)
@given(st.text())
def test_no_redirect_url_breaks_the_check(url: str) -> None:
    """Any URL is either accepted or refused."""
    problems = steps.check([{"name": "redirect", "redirect_url": url}])

    assert [problem.field for problem in problems] in ([], ["steps.0.redirect_url"])
    assert problems or len(steps.warnings([{"name": "redirect", "redirect_url": url}])) <= 1
