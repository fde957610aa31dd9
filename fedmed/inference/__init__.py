"""An X-ray in, every model's answer out."""
