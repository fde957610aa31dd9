"""The networks whose features everybody shares, and how their weights were come by."""
