"""Commands that produce the figures FedMed quotes."""
