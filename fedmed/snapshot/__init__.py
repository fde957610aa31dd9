"""The folder that a run ends in and the app begins with: written, verified, published, fetched."""
