"""The daemon's socket: who connects, what they ask, what they are told."""
