"""Federations that a visitor runs: settings in, rounds out, in worker processes of their own."""
