"""The store on SQLite: schema, queries, and the two connections that run them."""

from queuectld.store.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
