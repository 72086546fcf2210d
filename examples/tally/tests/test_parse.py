import tempfile
import unittest
from datetime import date
from pathlib import Path

from tally import parse


class Parts(unittest.TestCase):
    def test_names_alone_share_equally(self):
        self.assertEqual(parse.parts(200, "ana ben"), {"ana": 100, "ben": 100})

    def test_weights_share_in_proportion(self):
        self.assertEqual(parse.parts(300, "ana=2 ben=1"), {"ana": 200, "ben": 100})

    def test_unclear_splits_are_refused(self):
        for text in ("", "ana ben=1", "ana ana", "ana=1 ana=2", "ana=half"):
            with self.subTest(text), self.assertRaises(ValueError):
                parse.parts(100, text)


class Read(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "trip.csv"

    def read(self, text):
        self.path.write_text(text, encoding="utf-8")
        return parse.read(self.path)

    def test_a_line_is_an_expense(self):
        [expense] = self.read("date,payer,amount,what,split\n2025-06-06,ana,9.00,tea,ana ben\n")
        self.assertEqual(expense, parse.Expense(date(2025, 6, 6), "ana", 900, "tea", {"ana": 450, "ben": 450}))

    def test_other_columns_are_refused(self):
        with self.assertRaisesRegex(parse.ParseError, "trip.csv:1: the columns must be"):
            self.read("day,who,amount\n")

    def test_a_bad_line_is_named_with_its_number(self):
        with self.assertRaisesRegex(parse.ParseError, "trip.csv:3: '9,00' is not an amount"):
            self.read('date,payer,amount,what,split\n2025-06-06,ana,9.00,tea,ana\n2025-06-06,ana,"9,00",tea,ana\n')

    def test_a_short_line_is_refused(self):
        with self.assertRaisesRegex(parse.ParseError, "trip.csv:2: expected 5 fields"):
            self.read("date,payer,amount,what,split\n2025-06-06,ana,9.00\n")
