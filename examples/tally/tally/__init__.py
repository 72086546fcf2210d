"""Splits shared expenses and says who owes whom."""
