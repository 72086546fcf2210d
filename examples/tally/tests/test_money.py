import unittest

from tally import money


class Parse(unittest.TestCase):
    def test_decimals_may_be_left_out(self):
        self.assertEqual([money.parse(text) for text in ("12", "12.5", " 12.05 ")], [1200, 1250, 1205])

    def test_a_refund_is_below_zero(self):
        self.assertEqual(money.parse("-0.50"), -50)

    def test_anything_else_is_refused(self):
        for text in ("", "12,50", "1.234", "1e3", "12.", ".5", "--1", "twelve"):
            with self.subTest(text), self.assertRaises(ValueError):
                money.parse(text)


class Show(unittest.TestCase):
    def test_cents_always_have_two_digits(self):
        self.assertEqual([money.show(cents) for cents in (0, 5, 1250)], ["0.00", "0.05", "12.50"])

    def test_small_debts_keep_their_sign(self):
        self.assertEqual(money.show(-5), "-0.05")

    def test_plus_is_shown_where_asked_for_and_never_for_zero(self):
        self.assertEqual([money.show(cents, plus=True) for cents in (5, 0, -5)], ["+0.05", "0.00", "-0.05"])
