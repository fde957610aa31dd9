"""The rounds of `benchmarks.hospitals` by Flower's simulation engine, in turns with FedMed's.

`python -m benchmarks.flower HOSPITALS X-RAYS ROUNDS`, for `python -m benchmarks.hospitals`. A
client is what one writes in plain PyTorch: nn.Linear and Adam, over the same batches. After each
of Flower's rounds FedMed does the same round, so that both are timed under the same load and must
end with the same head. Flower's first round, in which its workers import torch, does not count.
"""

from __future__ import annotations

import json
import logging
import statistics
import sys
import time

import torch
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from flwr.simulation import run_simulation
from torch import nn

from benchmarks.hospitals import LOCAL_EPOCHS, OPTIMISATION, SEED, go_on, site, sites
from fedmed.backbones.resnet18 import WIDTH
from fedmed.federated.state import State
from fedmed.task import CLASSES
from fedmed.training.local_training import epoch_order
from fedmed.training.tensors import Tensors

# Rounding in another order may move a head's numbers by a tenth of one of Adam's steps: these are
# as long where a gradient is nearly nothing but rounding as anywhere.
SAME = 0.1 * OPTIMISATION.learning_rate


def client_app(images: int) -> ClientApp:
    """A hospital that trains as the PyTorch tutorials do."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        torch.set_num_threads(1)
        own = site(int(context.node_config["partition-id"]) + 1, images)
        network = nn.Linear(WIDTH, len(CLASSES))
        network.load_state_dict(message.content["arrays"].to_torch_state_dict())
        adam = torch.optim.Adam(network.parameters(), lr=OPTIMISATION.learning_rate)
        loss = nn.CrossEntropyLoss()
        first = (int(message.content["config"]["server-round"]) - 1) * LOCAL_EPOCHS
        for epoch in range(first, first + LOCAL_EPOCHS):
            for rows in epoch_order(SEED, own.name, epoch, images).split(OPTIMISATION.batch_size):
                adam.zero_grad()
                loss(network(own.features[rows]), own.labels[rows]).backward()
                adam.step()
        content = RecordDict(
            {
                "arrays": ArrayRecord(network.state_dict()),
                "metrics": MetricRecord({"num-examples": images}),
            }
        )
        return Message(content=content, reply_to=message)

    return app


def compare(count: int, images: int, rounds: int) -> dict[str, object]:
    """Median seconds of a round of both, their ratio, and how far the heads lie apart."""
    hospitals = sites(count, images)
    state: State | None = None
    theirs: list[float] = []
    ours: list[float] = []
    started, apart = 0.0, 0.0

    def after_round(number: int, arrays: ArrayRecord) -> MetricRecord:
        nonlocal state, started, apart
        if number:
            theirs.append(time.perf_counter() - started)
            before = time.perf_counter()
            state = go_on(hospitals, state, 1, "fp32")
            ours.append(time.perf_counter() - before)
            apart = _apart(arrays, state.model)
        started = time.perf_counter()
        return MetricRecord({"apart": apart})

    server = ServerApp()

    @server.main()
    def serve(grid: Grid, context: Context) -> None:
        zeros = {
            "weight": torch.zeros(len(CLASSES), WIDTH),
            "bias": torch.zeros(len(CLASSES)),
        }
        FedAvg(fraction_evaluate=0.0, min_train_nodes=count, min_available_nodes=count).start(
            grid, ArrayRecord(zeros), num_rounds=rounds + 1, evaluate_fn=after_round
        )

    begun = time.perf_counter()
    run_simulation(
        server,
        client_app(images),
        num_supernodes=count,
        backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
    )
    whole = time.perf_counter() - begun
    if len(theirs) != rounds + 1 or apart > SAME:
        raise SystemExit(f"{len(theirs)} rounds by Flower; the heads lie {apart} apart")
    seconds = [statistics.median(found[1:]) for found in (theirs, ours)]
    return {
        "hospitals": count,
        "X-rays each": images,
        "Flower, seconds": seconds[0],
        "FedMed, seconds": seconds[1],
        "times faster": seconds[0] / seconds[1],
        "largest difference": apart,
        "Flower's whole simulation, seconds": whole,
    }


def _apart(arrays: ArrayRecord, head: Tensors) -> float:
    found = arrays.to_torch_state_dict()
    return max(float((found[name] - tensor).abs().max()) for name, tensor in head.items())


if __name__ == "__main__":
    logging.getLogger("flwr").setLevel(logging.ERROR)
    print(json.dumps(compare(*map(int, sys.argv[1:]))))
