import unittest

from till.basket import Basket
from till.prices import Prices
from till.receipt import receipt

PRICES = Prices.parse("apple 0.35\nsparkling water 1.20\ncheese 12.50\n")


class ReceiptTest(unittest.TestCase):
    def test_a_receipt_lists_lines_discount_and_total(self):
        basket = Basket(PRICES, discount_percent=10)
        basket.add("apple", 4)
        basket.add("cheese")
        self.assertEqual(
            receipt(basket).splitlines(),
            [
                "4 x apple                   1.40",
                "1 x cheese                 12.50",
                "discount                   -1.39",
                "--------------------------------",
                "total                      12.51",
            ],
        )

    def test_without_a_discount_none_is_printed(self):
        basket = Basket(PRICES)
        basket.add("sparkling water", 2)
        self.assertNotIn("discount", receipt(basket))
