# SPDX-License-Identifier: Apache-2.0
"""Several processes that train one model together, each on batches of its own.

``torchrun --nproc-per-node 2 -m lineament train …`` starts them; a process that was started otherwise is alone, and
nothing here does anything. On a CPU two processes of one thread train faster than one process of two threads, since the
layers of full resolution have too few channels to share among threads; with several GPUs each process has one.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import get_worker_info

from lineament.devices import device_of

_PATIENCE = timedelta(hours=12)


def rank() -> int:
    """This process's number; 0 logs, validates and saves."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """This process's number on this machine: that of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def processes() -> int:
    """How many processes train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def device_of_process(name: str) -> torch.device:
    """The device on which this process trains, from what its configuration calls it.

    Raises:
        UsageError: There is no such device.
    """
    return device_of(name, local_rank())


def draw_number(step: int) -> int:
    """The number of this process's draws in a step: no two processes and no two steps share one."""
    return step * processes() + rank()


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Meet the other processes, and part from them at the end; within such a block, another one does nothing.

    They meet once: a second meeting in one run of torchrun reads what the first left in its store, and may hang.
    """
    if processes() == 1 or distributed.is_initialized():
        yield
        return
    # Others wait for as long as process 0 needs for what only it does: validating, say.
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def dealt(first: int, split: str) -> Iterator[int]:
    """Numbers of the batches that this process (and in it this DataLoader worker) makes, from its ``first`` on.

    Training batches are dealt out to the processes in turn; the validation split, which only process 0 sees, is not.
    """
    worker = get_worker_info()
    start, step = (worker.id, worker.num_workers) if worker else (0, 1)
    number = first + start
    while True:
        yield number * processes() + rank() if split == "train" else number
        number += step


def wait() -> None:
    """Go on when all processes are here: what process 0 wrote is there for the others then."""
    if processes() > 1:
        distributed.barrier()


class _Computation(nn.Module):
    """A network whose forward is whatever a step computes with it.

    Steps run parts of their networks, some of them several times, and the losses on what comes out.
    `DistributedDataParallel` watches one call of one forward; so this one is all of that.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, compute: Callable[[], Any]) -> Any:
        return compute()


@contextmanager
def constant(network: nn.Module) -> Iterator[None]:
    """A block in which a network's weights are constants: gradients pass through it, and none reach it."""
    learned = [parameter for parameter in network.parameters() if parameter.requires_grad]
    for parameter in learned:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in learned:
            parameter.requires_grad_(True)


def averaging(network: nn.Module) -> Callable[[Callable[[], Any]], Any]:
    """What runs a step's computations with a network so that ``backward`` averages its gradients over the processes.

    All processes take the weights and statistics of process 0 at once. Statistics of batch norm are each process's own
    from then on, and those of process 0 are saved. Every step must run the same parts of the network, though not all of
    them, and nothing else may send gradients to it (`constant`).

    Args:
        network: On its device; something of it learns.
    """
    if processes() == 1:
        return lambda compute: compute()
    for buffer in network.buffers():
        distributed.broadcast(buffer, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the option's new name, which torch 2.11 does not know
        return DistributedDataParallel(_Computation(network), broadcast_buffers=False, static_graph=True)
