"""SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al. 2024), on the input side of each matrix alone.

The gradient of a matrix W (N, K) is seen in the eigenbasis Q (K, K) of the running mean of G^T G; there Adam works as
ever, and its update is turned back. Of the two sides that the paper turns, the input side is the one that costs little:
two products of N K^2 a step, where the step itself, of n tokens, is three of n N K. Shapes: W, G (N, K), Q (K, K).
"""

from collections.abc import Iterable, Sequence
from inspect import unwrap
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETAS = (0.9, 0.99)
EPSILON = 1e-8
# Every few steps G^T G is taken into its mean, of which so much stays; less often the basis follows the mean, by one
# step of orthogonal iteration. From 10 to 250 steps between turns all do alike (docs/experiments.md).
LOOK_EVERY, MEMORY = 5, 0.8
TURN_EVERY = 50


class Soap(torch.optim.Optimizer):
    """Groups with `rotated` set are matrices, each in a basis of its own; the others are moved by plain AdamW.

    `products` is the number format in which gradients and updates are turned. Whoever calls `step` sets `number`, how
    many steps came before, and `found_inf`: where it is 1, no weight moves.
    """

    number = 0
    found_inf: Tensor | None = None
    # A scaler of losses sets `found_inf` itself, and so need not read it back from the device.
    _step_supports_amp_scaling = True

    def __init__(self, groups: Iterable[dict[str, Any]], lr: float, products: torch.dtype = torch.float32) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0, "rotated": False})
        self.products = products

    # To keep its compiler away from these two torch would load it, for a second, at the beginning of each training.

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        unwrap(torch.optim.Optimizer.add_param_group)(self, param_group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        unwrap(torch.optim.Optimizer.zero_grad)(self, set_to_none)

    def slots(self, weight: Tensor) -> dict[str, Tensor]:
        """What is remembered of a weight once it has moved, by name: tensors of these shapes."""
        scalar = weight.new_zeros(())
        found = {"step": scalar, "exp_avg": weight, "exp_avg_sq": weight}
        if any(weight is one for group in self.param_groups if group["rotated"] for one in group["params"]):
            square = scalar.expand(weight.shape[-1], weight.shape[-1])
            found |= {"basis": square, "outer": square}
        return found

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if group["rotated"]:
                self._move_rotated(weights, group["lr"], group["weight_decay"])
            else:
                self._adam(weights, weights, [weight.grad for weight in weights], group["lr"], group["weight_decay"])

    def _move_rotated(self, weights: Sequence[Tensor], lr: float, decay: float) -> None:
        bases, gradients = [], []
        for weight in weights:
            gradient = _gradient(weight).to(self.products)
            bases.append(self._basis(weight, gradient).to(self.products))
            gradients.append((gradient @ bases[-1]).to(weight.dtype))
        updates = [torch.zeros_like(weight) for weight in weights]
        self._adam(weights, updates, gradients, 1.0, 0.0)
        kept = 1 - lr * decay * (1.0 if self.found_inf is None else 1 - self.found_inf)
        for weight, update, basis in zip(weights, updates, bases, strict=True):
            weight.mul_(kept).add_(update.to(self.products) @ basis.t(), alpha=lr)

    def _basis(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """The matrix's basis for this step, after what the step's number has it learn from the gradient."""
        state = self.state[weight]
        if "basis" not in state:
            # The largest eigenvalue first: the order that orthogonal iteration keeps.
            state["outer"] = _outer(gradient).to(weight.dtype)
            state["basis"] = torch.linalg.eigh(state["outer"])[1].flip(1).contiguous()
        else:
            if self.number % LOOK_EVERY == 0:
                state["outer"].lerp_(_outer(gradient).to(weight.dtype), 1 - MEMORY)
            if self.number % TURN_EVERY == TURN_EVERY - 1:
                before = state["basis"]
                # Row by row, as a file gives it back: the order of adding up follows the layout.
                state["basis"] = torch.linalg.qr(state["outer"] @ before)[0].contiguous()
                state["exp_avg"] = state["exp_avg"] @ (before.t() @ state["basis"])
        basis: Tensor = state["basis"]
        return basis

    def _adam(
        self, weights: Sequence[Tensor], moved: list[Tensor], gradients: list[Tensor], lr: float, decay: float
    ) -> None:
        """AdamW on what is `moved`, by the moments of `weights`."""
        for weight in weights:
            state = self.state[weight]
            if "step" not in state:
                state["step"] = torch.zeros((), device=weight.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(weight), torch.zeros_like(weight)
        means, squares, steps = (
            [self.state[weight][name] for weight in weights] for name in ("exp_avg", "exp_avg_sq", "step")
        )
        adamw(
            moved, gradients, means, squares, [], steps, fused=True, found_inf=self.found_inf, amsgrad=False,
            beta1=BETAS[0], beta2=BETAS[1], lr=lr, weight_decay=decay, eps=EPSILON, maximize=False,
        )  # fmt: skip


def _gradient(weight: Tensor) -> Tensor:
    assert weight.grad is not None
    return weight.grad


def _outer(gradient: Tensor) -> Tensor:
    """G^T G (K, K); what is not finite is not looked at."""
    gradient = gradient.nan_to_num(0.0, 0.0, 0.0)
    return gradient.t() @ gradient
