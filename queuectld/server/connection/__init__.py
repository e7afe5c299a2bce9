"""The sockets, and one connection from its acceptance to its end."""
