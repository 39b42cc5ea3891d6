"""Invents personal data, so that the simulator never stores real data."""

from dataclasses import dataclass
from random import Random

_FIRST_NAMES = ("Ada", "Bruno", "Chidi", "Dana", "Elif", "Farid", "Greta", "Hana", "Ines", "Jonas")
_LAST_NAMES = ("Ashdown", "Bellweather", "Corwin", "Duvall", "Ellery", "Fairbank", "Goodwin", "Hartnell")


@dataclass(frozen=True, kw_only=True)
class InventedPerson:
    """An invented person. The phone number is in the range reserved for fiction (555-01xx)."""

    first_name: str
    last_name: str
    email: str
    phone_number: str


def invent(random: Random) -> InventedPerson:
    """Invent a person."""
    first_name, last_name = random.choice(_FIRST_NAMES), random.choice(_LAST_NAMES)
    return InventedPerson(
        first_name=first_name,
        last_name=last_name,
        email=f"{first_name}.{last_name}.{random.randrange(10_000):04d}@example.com".lower(),
        phone_number=f"{random.randrange(201, 990)}55501{random.randrange(100):02d}",
    )
