"""A source whose entropy rate is known: a trained model must reach it, and no figure may go below it."""

from pathlib import Path

import numpy as np
import pytest

import charrnn

SYMBOLS = "abcd"


def order_two_source(seed: int) -> tuple[np.ndarray, float]:
    """Random transition probabilities p[x, y, z] of z after x y, and the entropy rate in bits."""
    random = np.random.default_rng(seed)
    p = random.dirichlet(np.full(4, 0.4), size=(4, 4))
    pairs = np.full((4, 4), 1 / 16)
    for _ in range(10_000):
        pairs = np.einsum("xy,xyz->yz", pairs, p)
    surprisal = -np.log2(np.where(p > 0, p, 1))
    return p, float(np.einsum("xy,xyz,xyz->", pairs, p, surprisal))


def draw(p: np.ndarray, length: int, seed: int) -> str:
    random = np.random.default_rng(seed)
    uniforms = random.random(length)
    cumulative = p.cumsum(axis=-1)
    x, y = 0, 0
    text = []
    for u in uniforms:
        z = min(int(np.searchsorted(cumulative[x, y], u, side="right")), 3)
        text.append(SYMBOLS[z])
        x, y = y, z
    return "".join(text)


@pytest.mark.slow
def test_a_model_reaches_the_entropy_rate_of_its_source_and_goes_no_lower(tmp_path: Path) -> None:
    p, entropy = order_two_source(7)
    corpus = tmp_path / "source.txt"
    corpus.write_text(draw(p, 300_000, seed=1), encoding="utf-8")
    model = charrnn.train(
        corpus,
        steps=500,
        hidden=32,
        embedding=8,
        layers=1,
        dropout=0,
        lr=0.01,
        seed=1,
        threads=1,
        batch_size=64,
        bptt=32,
        checkpoints=tmp_path / "checkpoints",
    )
    fresh = model.score(draw(p, 100_000, seed=2))
    assert entropy * 0.995 < fresh.bpc < entropy * 1.02
    assert fresh.bpb == pytest.approx(fresh.bpc)
