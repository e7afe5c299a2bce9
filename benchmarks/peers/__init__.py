"""Other job queues, installed into a scratch place and driven all in one way."""
