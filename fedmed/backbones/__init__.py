"""Frozen networks that turn X-rays into features: their layers, weights and engines."""
