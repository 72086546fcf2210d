"""The command line."""

import argparse
import sys

from tally import money, parse, report


def main(arguments=None):
    """Runs one command; the exit code is 0, or 1 with a message on stderr."""
    options = _parser().parse_args(arguments)
    try:
        expenses = parse.read(options.file)
        for line in options.run(expenses):
            print(line)
        return 0
    except (OSError, parse.ParseError, ArithmeticError) as error:
        print(f"tally: {error}", file=sys.stderr)
        return 1


def _parser():
    parser = argparse.ArgumentParser(prog="tally", description="Splits shared expenses and says who owes whom.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, run, text in (
        ("show", show, "print every expense with everybody's part"),
        ("balances", balances, "print what everybody is owed or owes"),
        ("settle", settle, "print the payments that bring all balances to zero"),
    ):
        command = commands.add_parser(name, help=text, description=text)
        command.add_argument("file", metavar="FILE", help="a CSV file of expenses")
        command.set_defaults(run=run)
    return parser


def show(expenses):
    """One line per expense."""
    for expense in expenses:
        parts = ", ".join(f"{person} {money.show(cents)}" for person, cents in expense.parts.items())
        yield f"{expense.day} {expense.payer} paid {money.show(expense.amount)} for {expense.what}: {parts}"


def balances(expenses):
    """One line per person."""
    by_person = report.balances(expenses)
    width = max((len(person) for person in by_person), default=0)
    for person, cents in by_person.items():
        yield f"{person:<{width}}  {money.show(cents, plus=True):>10}"


def settle(expenses):
    """One line per payment."""
    payments = report.payments(report.balances(expenses))
    if not payments:
        yield "nobody owes anything"
    for debtor, creditor, cents in payments:
        yield f"{debtor} pays {creditor} {money.show(cents)}"
