"""The page visitors meet: a file for each tab, and one for each idea they share."""
