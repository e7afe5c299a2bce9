"""The store on SQLite: schema, queries, and the connections that run them."""
