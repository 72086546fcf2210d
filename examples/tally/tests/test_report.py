import unittest
from datetime import date

from tally import report
from tally.parse import Expense


def paid(payer, amount, parts):
    return Expense(date(2025, 6, 6), payer, amount, "tea", parts)


class Balances(unittest.TestCase):
    def test_the_payer_is_owed_what_others_used(self):
        expenses = [paid("ana", 900, {"ana": 300, "ben": 600})]
        self.assertEqual(report.balances(expenses), {"ana": 600, "ben": -600})

    def test_a_payer_may_share_nothing(self):
        self.assertEqual(report.balances([paid("ana", 100, {"ben": 100})]), {"ana": 100, "ben": -100})


class Payments(unittest.TestCase):
    def test_nothing_is_paid_where_nobody_owes(self):
        self.assertEqual(report.payments({"ana": 0, "ben": 0}), [])

    def test_the_largest_debt_is_paid_first(self):
        balances = {"ana": 500, "ben": -200, "cleo": -300}
        self.assertEqual(report.payments(balances), [("cleo", "ana", 300), ("ben", "ana", 200)])

    def test_balances_that_do_not_add_up_are_an_error(self):
        with self.assertRaises(ArithmeticError):
            report.payments({"ana": 500, "ben": -499})
