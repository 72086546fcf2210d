"""How long to wait between attempts."""


def waits(attempts, first_s, factor, most_s):
    """The pauses between `attempts` attempts: one less than there are attempts."""
    wait = first_s
    for _ in range(attempts - 1):
        yield min(wait, most_s)
        wait *= factor
