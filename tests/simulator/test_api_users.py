from tests.simulator.setup import Setup


async def test_a_verified_user_has_the_documented_fields(setup: Setup) -> None:
    """The personal data is invented."""
    user = await setup.create_user(status="verified", id_verified=True, verdict="flagged", metadata={"a": 1})

    answer = await setup.get(f"/api/v2/users/{user['id']}/")

    assert list(answer) == sorted(answer)
    assert answer["phone_number"].keys() == {"country_code", "phone_number"}
    assert all(answer[name] for name in ("first_name", "last_name", "email"))
    assert answer["status"] == "verified"
    assert answer["wallet"] == {"credit_balance": 0, "withdrawable_amount": 0}
    assert answer["compliance"] == {
        "background_check": {"status": "failed", "updated": "2026-11-23T12:00:00.000000"},
        "flags": {
            "name_mismatch": False,
            "ofac": False,
            "ofac_status": "clear",
            "payout_method": False,
            "payout_method_cycle": False,
        },
        "has_criminal_activity": True,
        "id_verified": True,
        "tax_id_verification": "not_started",
    }


async def test_users_lack_the_objects_that_do_not_apply(setup: Setup) -> None:
    """Unverified users have neither `compliance` nor `wallet`; users without a check have no `background_check`."""
    unverified = await setup.create_user(status="unverified", verdict="flagged")
    verified = await setup.create_user()

    assert verified.keys() - unverified.keys() == {"compliance", "wallet"}
    assert unverified.keys() - verified.keys() == set()
    assert "background_check" not in verified["compliance"]
