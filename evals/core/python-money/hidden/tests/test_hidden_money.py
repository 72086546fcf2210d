import unittest

from till.basket import Basket
from till.money import Money
from till.prices import Prices


class HiddenMoneyTest(unittest.TestCase):
    def test_amounts_are_read_to_the_cent(self):
        self.assertEqual([Money.parse(text).cents for text in ["19.99", "5", "0.5", "0.05", "1.10"]], [1999, 500, 50, 5, 110])

    def test_what_is_no_amount_is_refused(self):
        for text in ["", "1.999", "1,50", "ten", "1.2.3", "0x10"]:
            with self.assertRaises(ValueError, msg=text):
                Money.parse(text)

    def test_amounts_are_written_with_two_decimals(self):
        self.assertEqual([str(Money(cents)) for cents in [1999, 500, 5, 0]], ["19.99", "5.00", "0.05", "0.00"])

    def test_sums_are_exact(self):
        self.assertEqual(Money.parse("0.1") + Money.parse("0.2"), Money(30))
        self.assertEqual(Money(1000) - Money(1), Money(999))
        self.assertEqual(Money(35) * 3, Money(105))
        self.assertLess(Money(1), Money(2))

    def test_floats_do_not_come_in(self):
        with self.assertRaises(TypeError):
            Money(1) + 0.5

    def test_the_discount_is_rounded_once(self):
        prices = Prices.parse("sticker 0.05\n")
        basket = Basket(prices, discount_percent=10)
        for _ in range(10):
            basket.add("sticker")
        self.assertEqual((basket.discount(), basket.total()), (Money(5), Money(45)))

    def test_halves_of_a_cent_are_rounded_up(self):
        prices = Prices.parse("a 0.25\nb 0.45\n")
        for name, cents in [("a", 3), ("b", 5)]:
            basket = Basket(prices, discount_percent=10)
            basket.add(name)
            self.assertEqual(basket.discount(), Money(cents), name)
