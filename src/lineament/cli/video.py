# SPDX-License-Identifier: Apache-2.0
"""`lineament video`."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, get_args

import tyro

from lineament.cli.arguments import comma_separated
from lineament.images.encoding import NormalsConvention
from lineament.inference.engine import ProviderName
from lineament.methods.discovery import DEFAULT_WEIGHTS
from lineament.options import check_options
from lineament.pipeline.video.drawing import Panel
from lineament.pipeline.video.estimator import VideoOptions
from lineament.pipeline.video.saving import VideoFiles, VideoOutput

LISTS = {"outputs": get_args(VideoOutput), "panels": get_args(Panel)}
"""Options that take several values in one word, and their choices."""


@dataclass(frozen=True)
class Video:
    """Estimate the normals of every face in a video, steady in time.

    Ctrl-C ends the clip where it is, and the result of the frames before is written.
    """

    source: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="CLIP")]
    """A video file; a camera's number, from 0; or pictures in their order: a folder, a glob, files."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])] = field(default=Path("lineament-video"))
    """Folder of the result: faces.json, and what --outputs names."""
    method: str = DEFAULT_WEIGHTS
    """A method, or a path to weights."""
    outputs: Annotated[tuple[VideoOutput, ...], comma_separated(LISTS["outputs"])] = ("mp4",)
    """What to write, with commas between: mp4 (video.mp4, side by side), normals (a PNG per frame)."""
    panels: Annotated[tuple[Panel, ...], comma_separated(LISTS["panels"])] = ("photo", "normals")
    """What video.mp4 shows side by side, with commas between: photo, normals, shading."""
    height: int = 720
    """Most rows of video.mp4."""
    rate: float | None = None
    """Frames a second of pictures and of a camera (30 by default); video files have their own."""
    seconds: float | None = None
    """Take no more than so much of the clip."""
    threads: int = 0
    """Threads of one operation of a network; 0 takes all cores."""
    provider: ProviderName = "cpu"
    """What runs the networks, as far as the ONNX Runtime that is installed has it."""
    normals_convention: NormalsConvention = "opengl"
    """Signs of the normal maps: opengl (y up), directx (y down), opencv (y down, z away)."""
    following: Annotated[VideoOptions, tyro.conf.arg(name="")] = field(default_factory=VideoOptions)

    def __post_init__(self) -> None:
        check_options(self, {"height": "[16, 8192]", "threads": "[0, 1024]"})
        check_options(self, {"rate": "(0, 1000]", "seconds": "(0, 1000000]"})


def run_video(options: Video) -> int:
    """Estimate a clip and write it.

    Returns:
        0.
    """
    from lineament.cli.console import plain_console, progress_bar
    from lineament.errors import UsageError
    from lineament.files.overwriting import check_outputs
    from lineament.files.result_folder import check_in_the_way, check_replaceable
    from lineament.images.video import check_mp4, open_clip
    from lineament.pipeline.estimator import load
    from lineament.pipeline.options import Options
    from lineament.pipeline.video.estimator import VideoEstimator
    from lineament.pipeline.video.saving import save_video

    if not options.source:
        raise UsageError("name a video, a camera's number or pictures")
    if "mp4" in options.outputs:
        check_mp4()
    check_outputs([options.output], [*map(Path, options.source), Path(options.method)], replaced=True)
    check_in_the_way(options.output)
    check_replaceable(options.output)
    plain = Options(second_view=False, fine_crop=False)
    estimator = load(options.method, options.threads, plain, options.provider)
    files = VideoFiles(options.outputs, options.panels, options.height, options.normals_convention)
    console = plain_console(stderr=True)
    with open_clip(options.source, options.rate) as clip:
        most = None if options.seconds is None else max(1, round(options.seconds * clip.rate))
        known = min((number for number in (most, clip.count) if number is not None), default=0)
        video, start = VideoEstimator(estimator, clip.rate, options.following), time.perf_counter()
        with progress_bar(console, max(1, known), "estimating") as told:
            saved = save_video(clip, video, options.output, files, most, told)
    taken = time.perf_counter() - start
    ended = "; ended by Ctrl-C" if saved.interrupted else ""
    who = "nobody" if saved.people == 0 else f"{saved.people} {'person' if saved.people == 1 else 'people'}"
    rate = saved.frames / max(taken, 1e-9)
    console.print(f"{saved.frames} frames with {who} in {taken:.1f} s ({rate:.1f} a second): {options.output}{ended}")
    return 0
