"""The log of metered usage: one line an entry, `2026-01-31T10:15:00 customer units`."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Entry:
    at: datetime
    customer: str
    units: int


def parse(text):
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            at, customer, units = line.split()
            entries.append(Entry(datetime.fromisoformat(at), customer, int(units)))
        except ValueError as error:
            raise ValueError(f"line {number}: {line!r} is no entry: {error}") from error
    return entries
