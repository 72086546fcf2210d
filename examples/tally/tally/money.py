"""Amounts: whole cents inside, text such as `1234.50` outside."""

import re

_AMOUNT = re.compile(r"(-?)(\d+)(?:\.(\d{1,2}))?")


def parse(text):
    """The cents of a text such as `12`, `12.5` or `-12.50`.

    Raises `ValueError` for anything else: a wrong amount must never become a plausible one.
    """
    match = _AMOUNT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not an amount: write it as 12 or 12.50")
    sign, whole, decimals = match.groups()
    cents = int(whole) * 100 + int((decimals or "").ljust(2, "0"))
    return -cents if sign else cents


def show(cents, plus=False):
    """The text of an amount; with `plus`, amounts above zero carry their sign too."""
    sign = "-" if cents < 0 else "+" if plus and cents > 0 else ""
    whole, decimals = divmod(abs(cents), 100)
    return f"{sign}{whole}.{decimals:02}"
