"""A visitor's file: stored apart, decoded in a process of its own, forgotten."""
