"""What is printed."""

WIDTH = 32


def _row(left, right):
    return left + right.rjust(WIDTH - len(left))


def receipt(basket):
    rows = []
    for line in basket.lines:
        rows.append(_row(f"{line.count} x {line.name}", f"{line.amount():.2f}"))
    discount = basket.discount()
    if discount:
        rows.append(_row("discount", f"-{discount:.2f}"))
    rows.append("-" * WIDTH)
    rows.append(_row("total", f"{basket.total():.2f}"))
    return "\n".join(rows)
