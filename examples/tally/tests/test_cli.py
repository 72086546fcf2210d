import contextlib
import io
import unittest
from pathlib import Path

from tally.cli import main

SAMPLES = Path(__file__).parent.parent / "samples"


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(argument) for argument in arguments])
    return code, out.getvalue(), err.getvalue()


class Commands(unittest.TestCase):
    def test_show_prints_every_part(self):
        code, out, _ = run("show", SAMPLES / "weekend.csv")
        self.assertEqual(code, 0)
        self.assertIn("2025-06-08 cleo paid 10.00 for ice cream: ana 3.34, ben 3.33, cleo 3.33\n", out)

    def test_balances_line_up(self):
        expected = "ana       +97.38\nben       -39.81\ncleo      -57.57\n"
        self.assertEqual(run("balances", SAMPLES / "weekend.csv"), (0, expected, ""))

    def test_settle_names_the_payments_of_a_weekend(self):
        expected = "cleo pays ana 57.57\nben pays ana 39.81\n"
        self.assertEqual(run("settle", SAMPLES / "weekend.csv"), (0, expected, ""))

    def test_settle_names_the_payments_of_a_holiday(self):
        expected = "ben pays ana 237.22\ndan pays ana 235.84\ncleo pays ana 101.56\n"
        self.assertEqual(run("settle", SAMPLES / "holiday.csv"), (0, expected, ""))

    def test_a_missing_file_is_an_error_with_its_name(self):
        code, out, err = run("settle", SAMPLES / "nowhere.csv")
        self.assertEqual((code, out), (1, ""))
        self.assertIn("nowhere.csv", err)
