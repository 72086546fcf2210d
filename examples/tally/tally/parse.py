"""Reads expenses from CSV files."""

import csv
from dataclasses import dataclass
from datetime import date

from tally import money, split

COLUMNS = ["date", "payer", "amount", "what", "split"]


class ParseError(Exception):
    """A line that cannot be read, with its file and number."""


@dataclass(frozen=True)
class Expense:
    """Somebody paid something for somebody."""

    day: date
    payer: str
    amount: int
    what: str
    parts: dict


def read(path):
    """The expenses of a file, in its order."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames != COLUMNS:
            raise ParseError(f"{path}:1: the columns must be {','.join(COLUMNS)}")
        expenses = []
        for row in rows:
            try:
                expenses.append(_expense(row))
            except ValueError as error:
                raise ParseError(f"{path}:{rows.line_num}: {error}") from error
        return expenses


def _expense(row):
    if None in row or None in row.values():
        raise ValueError(f"expected {len(COLUMNS)} fields")
    payer = row["payer"].strip()
    if not payer:
        raise ValueError("nobody paid")
    amount = money.parse(row["amount"])
    return Expense(
        day=date.fromisoformat(row["date"].strip()),
        payer=payer,
        amount=amount,
        what=row["what"].strip(),
        parts=parts(amount, row["split"]),
    )


def parts(amount, text):
    """Everybody's part of `amount` after a text such as `ana ben` or `ana=2 ben=1`."""
    words = text.split()
    weighted = [word for word in words if "=" in word]
    if weighted and len(weighted) < len(words):
        raise ValueError(f"{text!r} mixes names with and without a weight")
    names = [word.partition("=")[0] for word in words]
    if len(set(names)) < len(names):
        raise ValueError(f"{text!r} names somebody twice")
    if not weighted:
        return split.equally(amount, names)
    try:
        weights = {name: int(word.partition("=")[2]) for name, word in zip(names, words)}
    except ValueError:
        raise ValueError(f"{text!r} has a weight that is not a whole number") from None
    return split.by_weight(amount, weights)
