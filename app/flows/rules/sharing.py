"""Dividing what one pass may do among those that want some of it."""

from collections.abc import Mapping


def share(wanted: Mapping[str, int], limit: int, *, first: int) -> dict[str, int]:
    """Give each name as much as it wants, or as much as the others get, `limit` in all.

    When there are more names than there is to share, those from the `first` on get one each.
    """
    names = list(wanted)
    first = first % len(names) if names else 0
    shares = dict.fromkeys(names[first:] + names[:first], 0)
    left = min(limit, sum(wanted.values()))
    while left > 0:
        for name in shares:
            if left > 0 and shares[name] < wanted[name]:
                shares[name] += 1
                left -= 1
    return {name: number for name, number in shares.items() if number}
