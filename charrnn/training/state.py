"""All that training changes and that is a tensor: with `Progress`, which has the numbers, an exact resume."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from charrnn.models.cells import States
from charrnn.models.ensemble import Network
from charrnn.models.states import map_state
from charrnn.training.optim import Descent
from charrnn.training.optim.averaging import Average
from charrnn.training.optim.soap import Soap
from charrnn.training.randomness import Randomness


def memory_name(model: int, direction: int, layer: int, part: int) -> str:
    """Under what name one part of a layer's state is saved."""
    return f"state.{model}.{direction}.{layer}.{part}"


@dataclass
class TrainingState:
    """Weights, their mean, the optimiser's slots, the memory of each direction of each model, the random generators."""

    model: Network
    optimizer: Soap | Descent
    average: Average
    scaler: torch.amp.GradScaler
    randomness: Randomness
    memories: list[list[States]]

    def tensors(self) -> dict[str, Tensor]:
        """Copies of everything, by name, as it stands between two steps."""
        found = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        for name, parameter in self.model.named_parameters():
            for slot, value in self.optimizer.state.get(parameter, {}).items():
                found[f"optimizer.{name}.{slot}"] = value
        found |= self._remembered()
        found |= self.average.tensors()
        found |= self.randomness.states
        for name, number in self.scaler.state_dict().items():
            found[f"scaler.{name}"] = torch.tensor(number)
        return {name: tensor.detach().clone() for name, tensor in found.items()}

    def restore(self, tensors: Mapping[str, Tensor], averaged: int) -> None:
        """Go back, or on, to what `tensors` gave, when so many steps' weights were in their mean."""
        self.model.load_state_dict({name: tensors[f"model.{name}"] for name in self.model.state_dict()})
        for name, parameter in self.model.named_parameters():
            prefix = f"optimizer.{name}."
            self.optimizer.state[parameter] = {
                slot.removeprefix(prefix): value.clone().to(parameter.device)
                for slot, value in tensors.items()
                if slot.startswith(prefix)
            }
        values = iter([tensors[name].to(value) for name, value in self._remembered().items()])
        self.memories = [[map_state(lambda _: next(values), states) for states in own] for own in self.memories]
        self.average.restore(tensors, averaged)
        self.randomness.restore(tensors)
        self.scaler.load_state_dict({name: tensors[f"scaler.{name}"].item() for name in self.scaler.state_dict()})

    def _remembered(self) -> dict[str, Tensor]:
        """Every part of every layer's state, by name."""
        return {
            memory_name(model, direction, layer, part): value
            for model, directions in enumerate(self.memories)
            for direction, states in enumerate(directions)
            for layer, state in enumerate(states)
            for part, value in enumerate(state)
        }
