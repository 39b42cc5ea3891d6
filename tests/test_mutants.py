import pytest

from tests import mutants
from tests.mutants import Group, Score

RULES = Group(name="rules", files=["app/*/rules/*.py"], tests=["tests/rules"], least=95)


def test_a_survivor_is_described_by_its_function_and_its_change() -> None:
    """The number that mutmut gives a mutant changes with the code around it, so it is not in the description."""
    diff = "--- a.py\n+++ a.py\n@@ -1,3 +1,3 @@\n def older(self):\n-    return a < b\n+    return a <= b\n"

    method = mutants.describe("app.flows.rules.progress.xǁProgressǁolder__mutmut_12", diff)
    function = mutants.describe("app.flows.rules.verdict.x__older__mutmut_2", diff)

    assert method == "progress.Progress.older: return a < b -> return a <= b"
    assert function == "verdict._older: return a < b -> return a <= b"


def test_a_score_counts_what_survived() -> None:
    """One of eight mutants that no test noticed: seven eighths."""
    assert Score(group=RULES, mutants=8, survivors=["a.f: 1 -> 2"]).percent == 87.5


def test_a_group_without_mutants_has_no_score() -> None:
    """A pattern that fits no file must not look like a perfect score."""
    assert Score(group=RULES, mutants=0, survivors=[]).percent == 0


@pytest.mark.parametrize(
    ("survivors", "explained", "is_whole", "wrong"),
    [
        (["a.f: 1 -> 2"], {"a.f: 1 -> 2": "why"}, True, []),
        (["a.f: 1 -> 2"], {}, True, ["not explained: a.f: 1 -> 2"]),
        ([], {"a.f: 1 -> 2": "why"}, True, ["stale: a.f: 1 -> 2"]),
        ([], {"a.f: 1 -> 2": "why"}, False, []),  # it may belong to a group that was not run
    ],
)
def test_each_survivor_is_explained_and_each_explanation_has_its_survivor(
    *, survivors: list[str], explained: dict[str, str], is_whole: bool, wrong: list[str]
) -> None:
    """A whole run also finds the explanations that are no longer needed."""
    score = Score(group=RULES, mutants=100, survivors=survivors)

    assert list(mutants.faults([score], explained, is_whole=is_whole)) == wrong


def test_a_score_that_is_too_low_is_wrong_even_when_all_is_explained() -> None:
    """Explanations do not replace tests."""
    score = Score(group=RULES, mutants=10, survivors=["a.f: 1 -> 2"])

    assert list(mutants.faults([score], {"a.f: 1 -> 2": "why"}, is_whole=True)) == ["rules: 90.0 % is less than 95 %"]


@pytest.mark.parametrize("line", ["a.f: 1 -> 2", "a.f: 1 -> 2  # ", "a.f: 1 -> 2  # x\na.f: 1 -> 2  # y"])
def test_a_survivor_needs_one_reason(line: str) -> None:
    """A line without a reason, or two lines for one survivor, are refused."""
    with pytest.raises(ValueError, match="no reason"):
        mutants.read_explained(line)


def test_the_list_of_survivors_can_be_read() -> None:
    """Each line of the project's own list has a reason."""
    mutants.read_explained(mutants.EXPLAINED.read_text())
