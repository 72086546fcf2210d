"""What somebody buys."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    name: str
    count: int
    price: float

    def amount(self):
        return self.price * self.count


class Basket:
    def __init__(self, prices, discount_percent=0):
        self._prices = prices
        self._discount_percent = discount_percent
        self.lines = []

    def add(self, name, count=1):
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        self.lines.append(Line(name, count, self._prices.of(name)))

    def discount(self):
        """What is taken off."""
        return sum(round(line.amount() * self._discount_percent / 100, 2) for line in self.lines)

    def total(self):
        """What is to be paid."""
        return sum(line.amount() for line in self.lines) - self.discount()
