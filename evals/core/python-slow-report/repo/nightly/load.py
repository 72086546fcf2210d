"""Reads the tables: one record a line, fields separated by tabs."""

import os
from collections import namedtuple

Order = namedtuple("Order", "number customer currency amount")
Customer = namedtuple("Customer", "id name country")


def _rows(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        for line in file:
            yield line.rstrip("\n").split("\t")


def orders(folder):
    return [Order(number, customer, currency, int(amount)) for number, customer, currency, amount in _rows(folder, "orders.tsv")]


def customers(folder):
    return [Customer(*row) for row in _rows(folder, "customers.tsv")]


def rates(folder):
    return {currency: float(rate) for currency, rate in _rows(folder, "rates.tsv")}
