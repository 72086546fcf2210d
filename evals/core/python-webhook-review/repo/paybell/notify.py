"""Tells a shop about a payment."""


class Notifier:
    def __init__(self, send):
        self._send = send

    def paid(self, shop, cents):
        self._send(shop, f"{cents / 100:.2f} EUR were paid")
