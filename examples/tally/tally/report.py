"""What the expenses mean: balances and payments."""


def balances(expenses):
    """What everybody is owed (above zero) or owes (below zero), by name.

    Money only changes hands, so the balances add up to zero.
    """
    result = {}
    for expense in expenses:
        result[expense.payer] = result.get(expense.payer, 0) + expense.amount
        for person, part in expense.parts.items():
            result[person] = result.get(person, 0) - part
    return dict(sorted(result.items()))


def payments(balance_by_person):
    """Payments `(from, to, cents)` after which nobody owes anything.

    Whoever owes most pays whoever is owed most, so there are fewer payments than people.
    """
    open_balances = {person: cents for person, cents in balance_by_person.items() if cents}
    result = []
    while open_balances:
        debtor = min(open_balances, key=lambda person: (open_balances[person], person))
        creditor = max(open_balances, key=lambda person: (open_balances[person], person))
        cents = min(-open_balances[debtor], open_balances[creditor])
        if cents <= 0:
            left = sum(open_balances.values())
            raise ArithmeticError(f"the balances do not add up: {left} cents are left over")
        result.append((debtor, creditor, cents))
        for person, change in ((debtor, cents), (creditor, -cents)):
            open_balances[person] += change
            if open_balances[person] == 0:
                del open_balances[person]
    return result
