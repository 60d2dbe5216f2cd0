"""Distillation: what a trained network holds likely in each window, for another to learn from beside the text.

The student's loss is half the cross-entropy with the text, half that with the teacher's probabilities (Hinton, Vinyals
and Dean 2015, at temperature 1). Shapes: B rows, T time, V vocabulary.
"""

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from charrnn.config import ModelConfig, TrainOptions, require
from charrnn.models.cells import States
from charrnn.models.direction import Direction
from charrnn.models.ensemble import Network, build, ensemble_logits
from charrnn.models.language_model import detach
from charrnn.models.loss import IGNORED
from charrnn.storage import checkpoint
from charrnn.training.batches import Batch
from charrnn.training.finetune import Source
from charrnn.training.mixed_precision import MixedPrecision

# Of the loss, what is the teacher's.
SHARE = 0.5
# What a student has of its teacher, unless something else is asked for.
NETWORK = ("cell", "layers", "hidden", "embedding", "skip", "norm", "tie")


class Teacher:
    """A network that learns nothing. Its memory, model by model, is kept by whoever asks it."""

    def __init__(self, network: Network, precision: str) -> None:
        self.config = network.config
        computing = MixedPrecision(network, precision).model.eval()
        self._directions: list[Direction] = [one.directions[0] for one in computing.models]

    @classmethod
    def read(cls, path: str, precision: str, device: torch.device) -> "Teacher":
        """The network of a model file. Raises CheckpointError where it is gone or none."""
        header, weights, _ = checkpoint.read_model(Path(path))
        tensors = {name: torch.from_numpy(each) for name, each in weights.items()}
        network = checkpoint.build_network(header, tensors)
        return cls(network.to(device), precision)

    @classmethod
    def like(cls, config: ModelConfig, precision: str, device: torch.device) -> "Teacher":
        """One that knows nothing, to measure what asking takes."""
        network = build(config)
        network.initialise(torch.Generator().manual_seed(0))
        return cls(network.to(device), precision)

    def initial_states(self, rows: int) -> list[States]:
        """The memory of each of its models before any token."""
        return [direction.initial_states(rows) for direction in self._directions]

    @torch.no_grad()
    def probabilities(
        self, window: Batch, memories: Sequence[States], continued: Callable[[States, Tensor], States]
    ) -> tuple[Tensor, list[States]]:
        """What it holds likely in the place of each target (B, T, V), float32, and what it then remembers.

        `continued` gives the memory of rows that go on with that of others.
        """
        logits, after = [], []
        for direction, memory in zip(self._directions, memories, strict=True):
            states = memory if window.state_rows is None else continued(memory, window.state_rows)
            found, states = direction(window.inputs, detach(states))
            logits.append(found.float())
            after.append(detach(states))
        return ensemble_logits(logits).exp(), after


def taught(costs: Tensor, logits: Tensor, targets: Tensor, probabilities: Tensor) -> Tensor:
    """Nats (B, T) of targets, `costs`, mixed with those of what a teacher expects; 0 where a target is padding."""
    expected = -(probabilities * logits.float().log_softmax(-1)).sum(-1)
    return (1 - SHARE) * costs + SHARE * torch.where(targets == IGNORED, 0.0, expected)


def student_of(options: TrainOptions, teacher: Source) -> TrainOptions:
    """The same options, for one network such as the teacher's are, where nothing else is asked for.

    Raises ConfigError where options and teacher do not go together.
    """
    require(options.start_from is None, "a student begins anew: leave out `start_from`, or `teacher`")
    require(
        not (teacher.config.bidirectional or options.bidirectional),
        "a teacher reads forwards alone, and so does its student: leave out `bidirectional`, or `teacher`",
    )
    require(not options.stream, "a student reads its text more than once: leave out `stream`, or `teacher`")
    for name, its in (("tokenizer", teacher.tokenizer.kind), ("documents", teacher.documents)):
        asked = getattr(options, name)
        require(asked in (None, its), f"{teacher.path} has {name} {its}, which stays: leave out `{name}`, or `teacher`")
    own = {name: getattr(teacher.config, name) for name in NETWORK if getattr(options, name) is None}
    if options.hidden not in (None, teacher.config.hidden):
        own = {name: value for name, value in own.items() if name in ("cell", "layers", "skip", "norm")}
    path = str(teacher.path.resolve())
    return dataclasses.replace(options, **own, ensemble=options.ensemble or 1, teacher=path)
