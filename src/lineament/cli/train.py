# SPDX-License-Identifier: Apache-2.0
"""`lineament train`: the training loop behind a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from lineament.training.loop import Progress
    from lineament.training.plan import Step


def trainings() -> dict[str, str]:
    """What can be trained, and what each is."""
    from lineament.methods.discovery import all_components

    return {name: component.summary for name, component in all_components().items()}


def run_train(name: str, arguments: Sequence[str]) -> int:
    """Train a component, as the arguments ask for."""
    import tyro
    from rich.console import Console

    from lineament.inference.component import resolved
    from lineament.methods.discovery import all_components
    from lineament.training.parallel import rank
    from lineament.training.plan import Training, carry_out

    training: Training = resolved(all_components()[name].training)
    words = ["--output" if word == "-o" else word for word in arguments]  # as every other command has it
    config = tyro.cli(training.config, prog=f"lineament train {name}", args=words)
    config.check_places()
    console = Console(stderr=True, quiet=rank() > 0)
    with _bars(console) as progress:
        weights = carry_out(training.steps(config), progress)
    console.print(f"weights: {weights}\nlog, curves and sheets: {config.output}")
    return 0


@contextmanager
def _bars(console: Console) -> Iterator[Callable[[Step], Progress]]:
    """A progress bar per step of a training."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bars(*columns, console=console) as bars:

        def begun(step: Step) -> Progress:
            task = bars.add_task(step.name, total=step.config.steps)

            def progress(done: int, values: Mapping[str, float]) -> None:
                bars.update(task, completed=done, description=f"{step.name}  loss {values['loss']:.4f}")

            return progress

        yield begun
