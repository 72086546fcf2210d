import unittest
from datetime import datetime, timedelta

from billing.invoice import invoice, invoices
from billing.period import Period
from billing.usage import Entry


class HiddenPeriodTest(unittest.TestCase):
    def test_the_last_day_belongs_to_its_month_until_it_is_over(self):
        january = Period.month(2026, 1)
        self.assertTrue(january.contains(datetime(2026, 1, 31, 0, 0, 0)))
        self.assertTrue(january.contains(datetime(2026, 1, 31, 10, 15)))
        self.assertTrue(january.contains(datetime(2026, 1, 31, 23, 59, 59, 999999)))

    def test_the_first_moment_of_the_next_month_does_not(self):
        self.assertFalse(Period.month(2026, 1).contains(datetime(2026, 2, 1)))
        self.assertTrue(Period.month(2026, 2).contains(datetime(2026, 2, 1)))

    def test_the_last_moment_of_the_month_before_does_not(self):
        self.assertFalse(Period.month(2026, 2).contains(datetime(2026, 1, 31, 23, 59, 59, 999999)))

    def test_leap_days_are_billed(self):
        self.assertTrue(Period.month(2024, 2).contains(datetime(2024, 2, 29, 18)))

    def test_every_hour_of_a_year_is_in_exactly_one_month(self):
        months = [Period.month(2026, month) for month in range(1, 13)]
        moment = datetime(2026, 1, 1)
        while moment.year == 2026:
            self.assertEqual(sum(month.contains(moment) for month in months), 1, moment)
            moment += timedelta(hours=1)

    def test_an_entry_at_midnight_is_paid_once(self):
        entries = [Entry(datetime(2026, 2, 1), "acme", 200), Entry(datetime(2026, 1, 31, 12), "acme", 300)]
        months = [Period.month(2026, 1), Period.month(2026, 2)]
        self.assertEqual([invoice(entries, "acme", month).units for month in months], [300, 200])
        self.assertEqual(len(invoices(entries, Period.month(2026, 3))), 0)
