"""Hands mails to the relay."""

import socket
import time

from mailpush.backoff import waits


class GaveUp(Exception):
    """The relay did not take the mail."""


def push(mail, settings, connect=socket.create_connection, sleep=time.sleep):
    relay = settings["relay"]
    pauses = waits(relay["attempts"], **settings["backoff"])
    while True:
        try:
            with connect((relay["host"], relay["port"]), timeout=relay["connect_timeout_s"]) as connection:
                connection.settimeout(relay["answer_timeout_s"])
                connection.sendall(mail)
                if connection.recv(64).startswith(b"250"):
                    return
        except OSError:
            pass
        pause = next(pauses, None)
        if pause is None:
            raise GaveUp(f"{relay['host']} did not take the mail")
        sleep(pause)
