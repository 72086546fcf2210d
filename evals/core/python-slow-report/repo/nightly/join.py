"""Orders with their customers."""

from collections import namedtuple

Joined = namedtuple("Joined", "order customer")


def join(orders, customers):
    """Every order with its customer, in the order of the orders; one without a customer is left out."""
    joined = []
    for order in orders:
        for customer in customers:
            if customer.id == order.customer:
                joined.append(Joined(order, customer))
    return joined


def countries(joined):
    """The countries that occur, by name."""
    return sorted({one.customer.country for one in joined})
