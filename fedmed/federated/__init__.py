"""Federated learning in rounds: what travels, how it is counted, what the server makes of it."""
