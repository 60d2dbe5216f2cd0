"""The optimiser by name and its parameter groups, the learning-rate schedule, clipping."""

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from charrnn.config import TrainConfig
from charrnn.models.ensemble import Network
from charrnn.training.optim.soap import Soap

# Of the highest learning rate, what is left at the end: with averaged weights, enough for them to keep moving.
FINAL_SHARE, FINAL_SHARE_AVERAGED = 0.01, 0.2


class Descent(torch.optim.SGD):
    """Plain gradient descent, called as SOAP is: a step is as long as its gradient, so one that explodes is seen."""

    number = 0
    found_inf: Tensor | None = None

    def slots(self, weight: Tensor) -> dict[str, Tensor]:
        """What is remembered of a weight: nothing."""
        return {}


def make_optimizer(model: Network, config: TrainConfig) -> Soap | Descent:
    """SOAP, or AdamW (Loshchilov & Hutter 2019), which it is without a basis, or plain gradient descent.

    Weight matrices decay, biases and the embedding do not, nor have they a basis.
    """
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    embeddings = {id(member.embedding.weight) for member in model.models}
    for parameter in model.parameters():
        matrix = parameter.dim() > 1 and id(parameter) not in embeddings
        (matrices if matrix else others).append(parameter)
    groups: list[dict[str, Any]] = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others}]
    if config.optimizer == "sgd":
        return Descent(groups, config.lr, fused=True)
    groups[0]["rotated"] = config.optimizer == "soap"
    # fp16 cannot hold the squares of small gradients, bf16 can.
    return Soap(groups, config.lr, torch.float32 if config.precision == "fp32" else torch.bfloat16)


def final_share(average: float | None) -> float:
    """What is left of the highest learning rate at the end of a run whose last share `average` is averaged."""
    return FINAL_SHARE if average is None else FINAL_SHARE_AVERAGED


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then half a cosine down to its final share, over progress 0 … 1 through the budget."""
    if progress < config.warmup:
        return config.lr * max(progress / config.warmup, FINAL_SHARE)
    final = final_share(config.average)
    done = min(1.0, (progress - config.warmup) / (1 - config.warmup))
    return config.lr * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done)))


def clip(parameters: Iterable[nn.Parameter], config: TrainConfig) -> tuple[Tensor, Tensor]:
    """Clip gradients by norm (Pascanu et al. 2013) and by value; the norm before, and 1 where anything was clipped.

    Both stay on the device: nothing waits for them here. The norm of gradients that are not finite is not finite.
    """
    gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
    norm = nn.utils.get_total_norm(gradients)
    clipped = torch.zeros_like(norm)
    if config.clip is not None:
        scale = (config.clip / norm).clamp(max=1.0)
        torch._foreach_mul_(gradients, scale)
        clipped = (scale < 1).to(norm.dtype)
    if config.clip_value is not None:
        largest = torch.stack([gradient.abs().max() for gradient in gradients]).max()
        torch._foreach_clamp_min_(gradients, -config.clip_value)
        torch._foreach_clamp_max_(gradients, config.clip_value)
        clipped = torch.maximum(clipped, (largest > config.clip_value).to(norm.dtype))
    return norm, clipped
