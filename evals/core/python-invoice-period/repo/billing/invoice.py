"""Invoices: what a customer used in a period, and what it costs."""

from dataclasses import dataclass

from billing.period import Period

CENTS_PER_UNIT = 3
FREE_UNITS = 100


@dataclass(frozen=True)
class Invoice:
    customer: str
    period: Period
    units: int
    cents: int


def invoice(entries, customer, period):
    """The invoice of `customer` for `period`; the first units of each month are free."""
    mine = [entry for entry in entries if entry.customer == customer and period.contains(entry.at)]
    units = sum(entry.units for entry in mine)
    return Invoice(customer, period, units, max(0, units - FREE_UNITS) * CENTS_PER_UNIT)


def invoices(entries, period):
    """The invoices of everybody who used something in `period`, by name."""
    customers = sorted({entry.customer for entry in entries if period.contains(entry.at)})
    return [invoice(entries, customer, period) for customer in customers]
