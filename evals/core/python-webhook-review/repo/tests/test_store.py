import unittest

from paybell.store import Store


class StoreTest(unittest.TestCase):
    def test_a_payment_counts_once(self):
        store = Store()
        self.assertTrue(store.add("p1", "acme", 500))
        self.assertFalse(store.add("p1", "acme", 500))
        self.assertEqual(store.total("acme"), 500)
