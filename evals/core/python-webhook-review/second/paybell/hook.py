"""Calls of partners."""

import hashlib
import hmac
import json
import time

MOST_AGE_S = 300


class Refused(Exception):
    """The call is not a partner's, or makes no sense."""

    def __init__(self, status, reason):
        super().__init__(reason)
        self.status = status


class Hook:
    def __init__(self, secret, store, notifier, now=time.time):
        self._secret = secret
        self._store = store
        self._notifier = notifier
        self._now = now

    def handle(self, headers, body):
        """Takes a call: `headers` by lower-case name, `body` as it came. Gives the status of the answer."""
        try:
            call = json.loads(body)
            self._check_signature(headers, call)
            self._check_age(headers)
            return self._take(call)
        except (ValueError, KeyError) as error:
            raise Refused(400, str(error)) from error

    def _check_signature(self, headers, call):
        given = headers.get("x-signature", "")
        signed = json.dumps(call, separators=(",", ":")).encode()
        expected = "sha256=" + hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        if given != expected:
            raise Refused(401, "the signature does not fit")

    def _check_age(self, headers):
        if self._now() - int(headers["x-timestamp"]) > MOST_AGE_S:
            raise Refused(401, "the call is too old")

    def _take(self, call):
        shop, cents = call["shop"], int(call["cents"])
        self._notifier.paid(shop, cents)
        self._store.add(call["id"], shop, cents)
        return 204
