import unittest
from datetime import date, datetime

from billing.period import Period


class PeriodTest(unittest.TestCase):
    def test_a_month_has_all_its_days(self):
        self.assertEqual(Period.month(2024, 2), Period(date(2024, 2, 1), date(2024, 2, 29)))

    def test_january_follows_december(self):
        self.assertEqual(Period.month(2025, 12).following(), Period.month(2026, 1))

    def test_a_moment_in_the_middle_belongs_to_it(self):
        self.assertTrue(Period.month(2026, 1).contains(datetime(2026, 1, 15, 12)))
        self.assertFalse(Period.month(2026, 1).contains(datetime(2026, 2, 15, 12)))
