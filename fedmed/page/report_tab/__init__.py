"""The Report tab: the stored evaluation, drawn."""
