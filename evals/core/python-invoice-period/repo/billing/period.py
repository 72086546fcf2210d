"""A month that is billed."""

import calendar
from dataclasses import dataclass
from datetime import date, datetime, time


@dataclass(frozen=True)
class Period:
    """From the first day to the last, both included."""

    first: date
    last: date

    @classmethod
    def month(cls, year, month):
        days = calendar.monthrange(year, month)[1]
        return cls(date(year, month, 1), date(year, month, days))

    def following(self):
        """The month after this one."""
        year, month = self.first.year, self.first.month + 1
        return Period.month(year + month // 13, (month - 1) % 12 + 1)

    def contains(self, moment):
        start = datetime.combine(self.first, time.min)
        end = datetime.combine(self.last, time.min)
        return start <= moment <= end

    def __str__(self):
        return f"{self.first:%Y-%m}"
