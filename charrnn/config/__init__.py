"""What a model and a training are: frozen records whose fields know their range, their help and their flag.

Of a sampling: generation/config.py.

No torch here: the command line and the Python API are made from these classes.
"""

import secrets

from charrnn.config.durations import format_duration, parse_duration
from charrnn.config.fields import Config, Range, Setting, option, require
from charrnn.config.model import ModelConfig
from charrnn.config.options import SEEDS, ResumeOptions, TrainOptions
from charrnn.config.suggest import nearest, unknown
from charrnn.config.training import TrainConfig

__all__ = [
    "SEEDS",
    "Config",
    "ModelConfig",
    "Range",
    "ResumeOptions",
    "Setting",
    "TrainConfig",
    "TrainOptions",
    "draw_seed",
    "format_duration",
    "nearest",
    "option",
    "parse_duration",
    "require",
    "seed_of_row",
    "unknown",
]


def draw_seed() -> int:
    """A fresh seed, small enough to be typed."""
    return secrets.randbelow(2**31)


def seed_of_row(seed: int, row: int) -> int:
    """The seed of one of several samples; behind the last seed comes the first, so each can be given by itself."""
    return (seed + row) % SEEDS
