"""Encoded images in, the network's input out: decoded, made small, augmented, normalised."""
