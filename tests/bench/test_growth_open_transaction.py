from bench.growth_open_transaction import Compared, Rates


def test_share_kept_is_that_of_the_last_third() -> None:
    """The slowdown grows over time, so only the last third counts."""
    compared = Compared(
        without=Rates(refreshes=[100.0] * 6, deliveries=[300.0] * 6, webhooks=200.0),
        beside=Rates(refreshes=[100, 100, 100, 100, 60, 40], deliveries=[300.0] * 6, webhooks=200.0),
    )

    assert compared.markdown(10).splitlines()[2:] == [
        "| refreshes | 100 | 50 | 0.50 |",
        "| deliveries | 300 | 300 | 1.00 |",
        "| acknowledged webhooks | 200 | 200 | 1.00 |",
    ]
