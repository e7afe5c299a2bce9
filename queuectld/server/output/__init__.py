"""Reads what jobs wrote, at once or while they write it."""
