"""The price list: one article a line, `apple 0.35`."""


class Prices:
    def __init__(self, prices):
        self._prices = prices

    @classmethod
    def parse(cls, text):
        prices = {}
        for line in text.splitlines():
            if line.strip():
                name, price = line.rsplit(" ", 1)
                prices[name.strip()] = float(price)
        return cls(prices)

    def of(self, name):
        if name not in self._prices:
            raise KeyError(f"no price for {name!r}")
        return self._prices[name]
