"""ZeroGPU Spaces start only with a function that asks for a GPU; nothing here needs one.

A pass takes a CPU a few hundredths of a second, less than the wait for a GPU, and costs no visitor
their quota. The `spaces` package wants to be imported before torch.
"""

from __future__ import annotations

try:
    import spaces
except ImportError:
    spaces = None

if spaces is not None:

    @spaces.GPU
    def never_called() -> None:
        """What ZeroGPU looks for at start-up."""
