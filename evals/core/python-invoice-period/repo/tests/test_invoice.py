import unittest

from billing.invoice import invoices
from billing.period import Period
from billing.usage import parse

LOG = """
# at customer units
2026-01-03T10:00:00 acme 150
2026-01-20T11:30:00 globex 80
2026-02-02T09:00:00 acme 120
"""


class InvoiceTest(unittest.TestCase):
    def test_units_above_the_free_ones_are_paid(self):
        found = [(one.customer, one.units, one.cents) for one in invoices(parse(LOG), Period.month(2026, 1))]
        self.assertEqual(found, [("acme", 150, 150), ("globex", 80, 0)])
