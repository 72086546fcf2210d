"""The report: euros by country and customer."""

from collections import defaultdict

from nightly import load
from nightly.join import countries, join
from nightly.rates import Converter


def build(folder):
    joined = join(load.orders(folder), load.customers(folder))
    converter = Converter(folder)
    totals = defaultdict(int)
    for one in joined:
        totals[one.customer.country, one.customer.name] += converter.to_euros(one.order.amount, one.order.currency)
    lines = []
    for country in countries(joined):
        lines.append(country)
        names = sorted(name for in_country, name in totals if in_country == country)
        lines.extend(f"  {name:<30} {totals[country, name]:>12}" for name in names)
    return "\n".join(lines) + "\n"
