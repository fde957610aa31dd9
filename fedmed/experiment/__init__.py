"""A run in four steps: prepare, fit, score, save."""
