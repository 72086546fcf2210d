import unittest

from tally import split


class Equally(unittest.TestCase):
    def test_what_divides_is_shared_evenly(self):
        self.assertEqual(split.equally(900, ["ana", "ben", "cleo"]), {"ana": 300, "ben": 300, "cleo": 300})

    def test_cents_that_do_not_divide_go_to_the_first(self):
        self.assertEqual(split.equally(1001, ["ana", "ben", "cleo"]), {"ana": 334, "ben": 334, "cleo": 333})

    def test_a_refund_adds_up_too(self):
        self.assertEqual(sum(split.equally(-1000, ["ana", "ben", "cleo"]).values()), -1000)

    def test_somebody_must_share(self):
        with self.assertRaises(ValueError):
            split.equally(100, [])


class ByWeight(unittest.TestCase):
    def test_parts_are_in_proportion(self):
        self.assertEqual(split.by_weight(9000, {"ana": 2, "ben": 1}), {"ana": 6000, "ben": 3000})

    def test_whoever_weighs_nothing_pays_nothing(self):
        self.assertEqual(split.by_weight(500, {"ana": 1, "ben": 0}), {"ana": 500, "ben": 0})

    def test_nobody_is_more_than_a_cent_from_the_exact_part(self):
        weights = {"ana": 7, "ben": 5, "cleo": 3, "dan": 3}
        for amount in range(1, 500):
            for person, part in split.by_weight(amount, weights).items():
                self.assertLess(abs(part - amount * weights[person] / 18), 1)

    def test_parts_add_up_to_the_amount(self):
        wrong = []
        for weights in ({"ana": 1, "ben": 1, "cleo": 1}, {"ana": 7, "ben": 5, "cleo": 3, "dan": 3}):
            for amount in (1, 5, 1000, 8890, 100000, -2000):
                total = sum(split.by_weight(amount, weights).values())
                if total != amount:
                    wrong.append(f"{amount} by {list(weights.values())} became {total}")
        self.assertEqual(wrong, [])

    def test_weights_that_mean_nothing_are_refused(self):
        for weights in ({"ana": 0}, {"ana": 2, "ben": -1}):
            with self.subTest(weights=weights), self.assertRaises(ValueError):
                split.by_weight(100, weights)
