import pytest

from bench.growth_sizes import RARE, Sizes


def test_full_scale_is_what_the_figures_are_stated_for() -> None:
    """Three million webhooks, 300,000 flows and 200,000 users."""
    sizes = Sizes.grown(1)

    assert (sizes.webhooks, sizes.flows, sizes.users) == (3_000_000, 300_000, 200_000)


@pytest.mark.parametrize("sizes", [Sizes.empty(), Sizes.grown(0.1), Sizes.grown(1)])
def test_as_many_flows_wait_on_every_database(sizes: Sizes) -> None:
    """What waits costs by its number, and must not pass for a cost of growth."""
    assert sizes.flows // sizes.every == RARE
    # Dead, failing and pending sync rows are told apart by remainders up to 4.
    assert sizes.every > 4


def test_small_scale_is_never_smaller_than_empty() -> None:
    """A quick look has enough rows for every question."""
    assert Sizes.grown(0.00001).flows == Sizes.empty().flows
