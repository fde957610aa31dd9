"""The one record of a message."""

RECORD = "fedmed"
