"""What hospitals send, bounded in what it tells of a patient, hidden, and attacked to see."""
