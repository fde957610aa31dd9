"""The Hugging Face Hub, asked with bounded waits, its failures told in words."""
