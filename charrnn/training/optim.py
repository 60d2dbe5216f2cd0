"""Parameter groups, the learning-rate schedule, clipping."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from charrnn.config import TrainConfig
from charrnn.models.language_model import LanguageModel

BETAS = (0.9, 0.99)
FINAL_SHARE = 0.01


def make_optimizer(model: LanguageModel, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW, fused (Loshchilov & Hutter 2019); weight matrices decay, biases and the embedding do not."""
    decayed: list[nn.Parameter] = []
    kept: list[nn.Parameter] = []
    for parameter in model.parameters():
        matrix = parameter.dim() > 1 and parameter is not model.embedding.weight
        (decayed if matrix else kept).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": kept, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, betas=BETAS, fused=True)


def learning_rate(config: TrainConfig, progress: float) -> float:
    """Linear warm-up, then half a cosine down to a hundredth, over progress 0 … 1 through the budget."""
    if progress < config.warmup:
        return config.lr * max(progress / config.warmup, FINAL_SHARE)
    done = min(1.0, (progress - config.warmup) / (1 - config.warmup))
    return config.lr * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * done)))


def clip(parameters: Iterable[nn.Parameter], config: TrainConfig) -> tuple[float, bool]:
    """Clip gradients by norm (Pascanu et al. 2013) and by value; the norm before, and whether anything was clipped."""
    gradients: list[Tensor] = [p.grad for p in parameters if p.grad is not None]
    norm = float(nn.utils.get_total_norm(gradients))
    clipped = False
    if not math.isfinite(norm):
        return norm, clipped
    if config.clip is not None and norm > config.clip:
        clipped = True
        torch._foreach_mul_(gradients, config.clip / norm)
    if config.clip_value is not None:
        clipped |= any(bool((g.abs() > config.clip_value).any()) for g in gradients)
        for gradient in gradients:
            gradient.clamp_(-config.clip_value, config.clip_value)
    return norm, clipped
