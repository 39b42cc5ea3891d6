from bench.growth_sizes import Sizes


def test_full_scale_is_what_the_figures_are_stated_for() -> None:
    """Three million webhooks, 300,000 flows and 200,000 users."""
    sizes = Sizes.grown(1)

    assert (sizes.webhooks, sizes.flows, sizes.users) == (3_000_000, 300_000, 200_000)
    assert (sizes.rare, sizes.every) == (200, 1500)


def test_empty_database_can_fill_a_page_of_ten() -> None:
    """A page of rare rows is as long on the empty database as on the grown one."""
    sizes = Sizes.empty()

    assert sizes.rare >= 10
    # Dead, failing and pending sync rows are told apart by remainders up to 4.
    assert sizes.every > 4


def test_small_scale_is_never_smaller_than_empty() -> None:
    """A quick look has enough rows for every question."""
    assert Sizes.grown(0.00001).flows == Sizes.empty().flows
