# SPDX-License-Identifier: Apache-2.0
"""What a network costs: parameters, floating-point operations, latency in both engines (Cas-FNE, table IV)."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from lineament.evaluation.report.published import published_tables
from lineament.evaluation.report.table import Cell, Table
from lineament.inference.component import resolved
from lineament.inference.engine import Engine
from lineament.methods.discovery import method_of_size, open_predictor
from lineament.networks.onnx_export import export_graphs
from lineament.networks.weight_files import save_weights


@dataclass(frozen=True)
class Cost:
    """One line of the table."""

    method: str
    stages: int
    parameters: int
    operations: int
    """Floating-point operations of one picture; a multiplication and an addition are two."""
    torch_ms: float
    onnx_ms: float


def cost_of(method: str, stages: int, side: int, threads: int, runs: int) -> Cost:
    """Measure one configuration on the CPU; latencies are medians over ``runs`` after two to warm up.

    Args:
        method: A configuration, as `Method.sizes` names it; weights are random, since only their shape matters.
        stages: Stages after the first.
        side: Of the picture, pixels.
        threads: Of one operation.
        runs: How often each engine is timed.
    """
    from torch.utils.flop_counter import FlopCounterMode

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    of = method_of_size(method)
    model = resolved(of.sizes[method])().eval()
    image = torch.rand(1, 3, side, side)

    with torch.no_grad():
        used = _used_parameters(model, lambda: model.run_stages(image, stages))
        with FlopCounterMode(display=False) as counter:
            model.run_stages(image, stages)
        torch_ms = _median_ms(lambda: model.run_stages(image, stages), runs)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / f"{method}.safetensors"
        save_weights(model, weights)
        export_graphs(of, weights)
        with Engine(threads).used():
            predictor = open_predictor(weights)
        crop = np.zeros((1, side, side, 3), np.uint8)
        onnx_ms = _median_ms(lambda: predictor.run(crop, stages), runs)
    return Cost(method, stages, used, int(counter.get_total_flops()), torch_ms, onnx_ms)


def cost_table(costs: Sequence[Cost], side: int, threads: int, runs: int) -> Table:
    """The costs in the form of Cas-FNE's table IV, whose rows stand above ours."""
    published = published_tables()["casfne-table4"]
    rows: list[tuple[Cell, ...]] = [
        (f"{method} (published)", "", metrics[1], metrics[0], None, None, metrics[2])
        for method, metrics in published.rows
    ]
    rows += [
        (c.method, str(c.stages), c.parameters / 1e6, c.operations / 1e9, c.torch_ms, c.onnx_ms, None) for c in costs
    ]
    return Table(
        title=f"Cost of one picture of {side} × {side} pixels",
        columns=("method", "stages", "parameters M", "FLOPs G", "torch ms", "ONNX Runtime ms", "2080 Ti ms"),
        rows=tuple(rows),
        notes=(
            f"Latency: median of {runs} runs, {threads} threads, fp32, one picture without its mirror image.",
            "FLOPs: two for a multiplication with its addition, as torch counts them; papers often count one.",
            f"Published rows: {published.paper}, table {published.number}, at 256 × 256. {published.notes[0]}",
            "Parameters are those that so many stages use; without a second stage its share of the weights lies idle.",
        ),
    )


def _used_parameters(model: nn.Module, run: Callable[[], object]) -> int:
    """How many parameters belong to modules that are called."""
    called: set[nn.Module] = set()
    hooks = [module.register_forward_hook(lambda m, *_: called.add(m)) for module in model.modules()]
    run()
    for hook in hooks:
        hook.remove()
    parameters = {parameter for module in called for parameter in module.parameters(recurse=False)}
    return sum(parameter.numel() for parameter in parameters)


def _median_ms(call: Callable[[], object], runs: int) -> float:
    for _ in range(2):
        call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(1000.0 * (time.perf_counter() - start))
    return statistics.median(times)
