"""All that training changes and that is a tensor: with `Progress`, which has the numbers, an exact resume."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from charrnn.errors import CheckpointError
from charrnn.models.cells import States
from charrnn.models.ensemble import Network
from charrnn.models.states import map_state
from charrnn.training.optim import Descent
from charrnn.training.optim.averaging import PREFIX, Average
from charrnn.training.optim.soap import Soap
from charrnn.training.randomness import Randomness
from charrnn.training.sharing import exchange_weights, gathered
from charrnn.training.world import World


def memory_name(model: int, direction: int, layer: int, part: int) -> str:
    """Under what name one part of a layer's state is saved."""
    return f"state.{model}.{direction}.{layer}.{part}"


@dataclass
class TrainingState:
    """Weights, their mean, the optimiser's slots, the memory of each direction of each model, the random generators.

    Of `rows` rows, or of the models, processes that share them each hold their own; what is saved is the whole.
    """

    model: Network
    optimizer: Soap | Descent
    average: Average
    scaler: torch.amp.GradScaler
    randomness: Randomness
    memories: list[list[States]]
    rows: int
    models_with: World
    rows_with: World

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything, by name, as it stands between two steps, in every process."""
        exchange_weights(self.model, self.models_with)
        found = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                found[f"optimizer.{name}.{slot}"] = value
        found |= {name: self.rows_with.whole(value, self.rows) for name, value in self._remembered().items()}
        found = gathered(found | self.average.tensors(), len(self.model.models), self.models_with)
        found |= self.randomness.states
        for name, number in self.scaler.state_dict().items():
            found[f"scaler.{name}"] = torch.tensor(number)
        return {name: tensor.detach().clone() for name, tensor in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], averaged: int) -> None:
        """Go back, or on, to what `tensors` gave, when so many steps' weights were in their mean.

        Raises CheckpointError, before anything has changed, where a tensor is missing, of another shape or not finite.
        """
        self._check(tensors, averaged)
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in self.model.state_dict()})
        for name, parameter in self.model.named_parameters():
            prefix = f"optimizer.{name}."
            self.optimizer.state[parameter] = {
                slot.removeprefix(prefix): value.clone().to(parameter.device)
                for slot, value in tensors.items()
                if slot.startswith(prefix)
            }
        values = iter([tensors[name][self.rows_with.own].to(value) for name, value in self._remembered().items()])
        self.memories = [[map_state(lambda _: next(values), states) for states in own] for own in self.memories]
        self.average.restore(tensors, averaged)
        self.randomness.restore(tensors)
        self.scaler.load_state_dict({name: tensors[f"scaler.{name}"].item() for name in self.scaler.state_dict()})

    def _check(self, tensors: Mapping[str, Tensor], averaged: int) -> None:
        expected = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, value in self._remembered().items():
            expected[name] = value.new_empty((self.rows, *value.shape[1:]))
        expected["random"] = torch.get_rng_state()
        for name, parameter in self.model.named_parameters():
            if averaged:
                expected[f"{PREFIX}{name}"] = parameter
            # What an optimiser remembers, it has from its first step on.
            prefix = f"optimizer.{name}."
            found = {slot.removeprefix(prefix) for slot in tensors if slot.startswith(prefix)}
            slots = self.optimizer.slots(parameter)
            if found and found != slots.keys():
                raise CheckpointError(f"it remembers {', '.join(sorted(found))} of {name}, not {', '.join(slots)}")
            expected |= {f"{prefix}{slot}": slots[slot] for slot in found}
        for name, like in expected.items():
            tensor = tensors.get(name)
            if tensor is None:
                raise CheckpointError(f"it lacks {name}")
            if tensor.shape != like.shape or tensor.is_floating_point() != like.is_floating_point():
                raise CheckpointError(f"{name} is {tuple(tensor.shape)}, not {tuple(like.shape)}")
            if tensor.is_floating_point() and not tensor.isfinite().all():
                raise CheckpointError(f"{name} holds numbers that are not finite")

    def _remembered(self) -> dict[str, Tensor]:
        """Every part of every layer's state, by name."""
        return {
            memory_name(model, direction, layer, part): value
            for model, directions in enumerate(self.memories)
            for direction, states in enumerate(directions)
            for layer, state in enumerate(states)
            for part, value in enumerate(state)
        }
