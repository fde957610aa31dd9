"""What a pass through the backbone runs on, chosen once per process.

A GPU is PyTorch's. On a CPU it is OpenVINO where that is installed and PyTorch otherwise, in FP32.
Where the processor has bf16, the views that heads are trained on pass in bf16, several times as
fast: heads are none the worse for it. What is scored and what visitors send passes in FP32, for
bf16 moves features by about a hundredth, so that a verdict near its threshold may turn
(`python -m benchmarks.engines` measures both). FEDMED_ENGINE names one engine for everything.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from fedmed.backbones.resnet18 import _graph
from fedmed.errors import UserError

VARIABLE = "FEDMED_ENGINE"
FALLBACK = "torch"

# Normalised images [n, 3, s, s] to feature maps float32 [n, 512, s / 32, s / 32]; threads may
# share it.
Pass = Callable[[Tensor], Tensor]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Engine:
    """A way to run the network. `id` tells apart engines whose numbers may differ."""

    id: str
    title: str
    # For images of a side, and so many passes at once, which share the cores.
    prepare: Callable[[nn.Module, int, int], Pass]


def pick(device: str = "cpu") -> Engine:
    """The engine of a device.

    Raises:
        UserError: FEDMED_ENGINE names none.
    """
    name = _named()
    return _on_cpu(name) if device == "cpu" else _torch(torch.float32, device)


def pick_to_train(device: str = "cpu") -> Engine:
    """The engine for views that heads are trained on: in bf16 where the processor has it.

    Raises:
        UserError: FEDMED_ENGINE names none.
    """
    exact = pick(device)
    if device != "cpu" or _named() != "auto" or not has_bf16():
        return exact
    return _on_cpu("openvino-bf16" if exact.id.startswith("openvino") else "torch-bf16")


def _named() -> str:
    name = os.environ.get(VARIABLE, "").strip() or "auto"
    if name not in ("auto", *ENGINES):
        raise UserError(f"{VARIABLE}={name}: choose from auto, {', '.join(ENGINES)}.")
    return name


def has_bf16(device: str = "cpu") -> bool:
    """Whether a device multiplies bf16 itself; without, PyTorch would imitate it, slowly."""
    if device != "cpu":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    able = torch.cpu.get_capabilities()
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


@cache
def _on_cpu(name: str) -> Engine:
    """The named engine, or PyTorch where it does not start here."""
    if name == "auto":
        name = "openvino" if find_spec("openvino") else FALLBACK
    try:
        return ENGINES[name]()
    # A library built for another processor or system raises anything at all.
    except Exception as error:
        if name == FALLBACK:
            raise
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        log.warning("The engine %s cannot be used here (%s); PyTorch is.", name, reason)
        return ENGINES[FALLBACK]()


def _torch(dtype: torch.dtype, device: str = "cpu") -> Engine:
    def prepare(network: nn.Module, size: int, passes: int) -> Pass:
        ready = network.to(device, dtype).to(memory_format=torch.channels_last)

        @torch.inference_mode()
        def run(inputs: Tensor) -> Tensor:
            ours = inputs.to(device, dtype, memory_format=torch.channels_last)
            return ready(ours).float().cpu()

        return run

    if device != "cpu":
        torch.backends.cudnn.allow_tf32 = False  # ten bits of mantissa move features too
    place = "" if device == "cpu" else f", {torch.cuda.get_device_name(device)}"
    title = f"PyTorch {version('torch')}, {_precision(dtype)}{place}"
    return Engine(f"torch {_precision(dtype)} {device}", title, prepare)


def _openvino(dtype: torch.dtype) -> Engine:
    # Importing OpenVINO would tell Google Analytics of it, from a process of its own, unless the
    # package that does so cannot be imported.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    core = openvino.Core()
    able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if dtype == torch.bfloat16 and "BF16" not in able:
        raise RuntimeError("this processor has no bf16")
    config: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }

    def prepare(network: nn.Module, size: int, passes: int) -> Pass:
        streams = {"NUM_STREAMS": min(passes, torch.get_num_threads())}
        compiled = core.compile_model(_graph(network, size), "CPU", config | streams)

        def run(inputs: Tensor) -> Tensor:
            request = compiled.create_infer_request()
            request.infer([inputs.contiguous().numpy()], share_inputs=True)
            return torch.from_numpy(request.get_output_tensor().data.copy())

        # Two threads whose passes are the process's first can wait for each other for ever: one in
        # OpenVINO for the interpreter's lock, one with it for OpenVINO. So one thread goes first.
        run(torch.zeros(1, 3, size, size))
        return run

    precision, number = _precision(dtype), version("openvino")
    return Engine(f"openvino {number} {precision}", f"OpenVINO {number}, {precision}", prepare)


def _precision(dtype: torch.dtype) -> str:
    return {torch.float32: "FP32", torch.bfloat16: "bf16"}[dtype]


ENGINES: dict[str, Callable[[], Engine]] = {
    "torch": lambda: _torch(torch.float32),
    "torch-bf16": lambda: _torch(torch.bfloat16),
    "openvino": lambda: _openvino(torch.float32),
    "openvino-bf16": lambda: _openvino(torch.bfloat16),
}


def pick_device(name: str) -> str:
    """`auto` is a CUDA device where there is one.

    Raises:
        UserError: a device that PyTorch cannot use here.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        if name != "cpu" and torch.device(name).type != "cuda":  # cpu:0 would be no engine's
            raise RuntimeError("no such device")
        torch.empty(1, device=name)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).splitlines()[0]
        raise UserError(
            f"--device {name} cannot be used here ({problem}); choose from auto, cpu, cuda."
        ) from error
    return name
