"""The Lab tab: federations that visitors run, and the same in the API."""
