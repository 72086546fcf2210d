"""Payments, by their id."""

import sqlite3


class Store:
    def __init__(self, path=":memory:"):
        self._db = sqlite3.connect(path)
        self._db.execute("create table if not exists payments (id text primary key, shop text not null, cents integer not null)")

    def add(self, payment_id, shop, cents):
        """Stores a payment; False where it is there already."""
        try:
            with self._db:
                self._db.execute("insert into payments values (?, ?, ?)", (payment_id, shop, cents))
        except sqlite3.IntegrityError:
            return False
        return True

    def total(self, shop):
        return self._db.execute("select coalesce(sum(cents), 0) from payments where shop = ?", (shop,)).fetchone()[0]
