"""The same federation between machines, on Flower: a hospital is a folder of its own."""
