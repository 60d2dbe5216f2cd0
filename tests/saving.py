"""A network as a file has it."""

from torch import Tensor

from charrnn.models.ensemble import Network
from charrnn.storage.checkpoint import MODEL_PREFIX


def model_tensors(model: Network) -> dict[str, Tensor]:
    """The weights under the names that they have in a file."""
    return {MODEL_PREFIX + name: tensor for name, tensor in model.state_dict().items()}


def parameter_count(model: Network) -> int:
    """How many numbers the weights are."""
    return sum(parameter.numel() for parameter in model.parameters())
