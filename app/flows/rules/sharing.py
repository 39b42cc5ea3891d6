"""Divides the limit of a pass among the apps."""

from collections.abc import Mapping


def share(wanted: Mapping[str, int], limit: int, *, first: int) -> dict[str, int]:
    """Give equal shares, up to what each name wants; `limit` in all.

    If there are more names than the limit, each name from the `first` on gets one.
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
