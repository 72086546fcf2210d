"""How one amount is divided among people. Parts are whole cents and add up to the amount."""


def equally(amount, people):
    """Everybody's part when all carry the same.

    Cents that do not divide go to the first people, one each.
    """
    if not people:
        raise ValueError("an expense needs somebody who shares it")
    part, left = divmod(amount, len(people))
    return {person: part + (1 if position < left else 0) for position, person in enumerate(people)}


def by_weight(amount, weights):
    """Everybody's part in proportion to a weight, such as the nights they stayed."""
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise ValueError("weights must not be negative, and one of them must be above zero")
    return {person: round(amount * weight / total) for person, weight in weights.items()}
