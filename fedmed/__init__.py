"""FedMed: federated learning on chest X-rays, from images to a published snapshot."""

__version__ = "0.1.0"
