"""Properties are tried on the same examples in every run, so that a failure is a change's doing."""

from hypothesis import settings

settings.register_profile("same", derandomize=True, deadline=None, database=None, max_examples=100)
settings.load_profile("same")
