"""Defaults, overridden by mailpush.toml."""

import tomllib

DEFAULTS = {
    "relay": {"host": "localhost", "port": 2525, "attempts": 6, "connect_timeout_s": 3.0, "answer_timeout_s": 5.0},
    "backoff": {"first_s": 1.0, "factor": 2.0, "most_s": 30.0},
    "log": {"level": "warning"},
}


def read(path="mailpush.toml"):
    with open(path, "rb") as file:
        given = tomllib.load(file)
    return {section: {**values, **given.get(section, {})} for section, values in DEFAULTS.items()}
