"""evaluation.json and the model card: their fields, their sections, their words."""
