"""Text for a gap, so that it fits what stands on both sides of it.

Many texts are begun behind the left side, by the sampling's own chain; each of their beginnings may be the gap. One is
drawn by how likely the right side is behind it: importance resampling (Rubin 1987), which draws from the model's own
distribution of gaps, given both sides, the nearer the more there are. All lengths are held equally likely beforehand.
Of the many, those are looked at whole that the first symbol of the right side fits, in proportion.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import require, seed_of_row
from charrnn.errors import CharrnnError
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import Doubles, draw, log_probabilities
from charrnn.generation.processors import DROPPED, compose
from charrnn.generation.sequence import TextSequence, Uniforms
from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine
from charrnn.inference.reading import Reading, read, read_side_by_side
from charrnn.text.copy_index import CopyIndex
from charrnn.text.tokenizers import Tokenizer

# Texts that are begun, and beginnings of them that are looked at whole.
BEGUN, LOOKED_AT = 128, 256
# So many tokens of a side say what fits there: what is farther hardly differs from gap to gap.
FAR = 60
LONGEST = 1000


@dataclass(frozen=True)
class Infilled:
    """Text for a gap: `seed` alone gives it again."""

    row: int
    seed: int
    text: str
    """What stands in the gap."""
    logprob: float
    """Of the gap and of what follows it, up to 60 tokens, given all before (nats, temperature 1)."""
    effective: float
    """Among how many gaps, had all fitted alike, it was chosen (the effective sample size): few say that none fits."""


def infill(
    engine: Engine,
    tokenizer: Tokenizer,
    config: SampleConfig,
    left: str,
    right: str,
    *,
    rows: int = 1,
    seed: int = 0,
    backwards: Engine | None = None,
    learned: Sequence[CopyIndex] = (),
) -> Iterator[Infilled]:
    """Text of 1 to `config.length` characters between two others, row by row.

    `backwards` reads from the end: where it is given, the left side counts as much as the right one does. Raises
    ConfigError where nothing stands on the right, VocabularyError on a character that the vocabulary lacks,
    CharrnnError where nothing that was begun fits.
    """
    patterns = bool(config.grammar or config.match or config.lines or config.min_length or config.stop)
    require(
        not patterns,
        "a gap ends where the right side fits: leave out `stop`, `grammar`, `match`, `lines` and `min_length`",
    )
    require(config.length <= LONGEST, f"`length` of a gap must be at most {LONGEST:,}, not {config.length:,}")
    require(bool(right), "nothing stands behind the gap: `prompt` is for a text that is to be gone on from")
    ends = [tokenizer.size] * engine.config.documents
    sides = tokenizer.encode(left).tolist(), [*tokenizer.encode(right).tolist(), *ends]
    chain = Chain(compose(config, tokenizer, learned), tokenizer.size, endless=False, told=False)

    def allowed(gap: str) -> bool:
        """What the chain does not see: no copy that is too long goes on into the right side."""
        most = config.max_copy or 0
        before, behind = (left + gap)[-most:], right[:most]
        places = range(max(1, most + 1 - len(behind)), len(before) + 1)
        return not any((before[-at:] + behind)[: most + 1] in index for index in learned for at in places)

    gap = _Gap(engine, tokenizer, config, chain, sides, backwards, allowed)
    for row in range(rows):
        yield gap.filled(row, seed_of_row(seed, row))


class _Gap:
    """A gap, and both of its sides as they are read."""

    def __init__(
        self,
        engine: Engine,
        tokenizer: Tokenizer,
        config: SampleConfig,
        chain: Chain,
        sides: tuple[list[int], list[int]],
        backwards: Engine | None,
        allowed: Callable[[str], bool],
    ) -> None:
        self.engine, self.tokenizer, self.config, self.chain = engine, tokenizer, config, chain
        self.allowed = allowed
        left, right = sides
        self.before, self.right = read(engine, left), right[:FAR]
        self.backwards = backwards
        if backwards is not None:
            # What reads from the end begins where a text ends: that has no token of its own there.
            self.behind = read(backwards, [token for token in right[::-1] if token < tokenizer.size])
            self.left = [*left[::-1], *[tokenizer.size] * backwards.config.documents][:FAR]

    def filled(self, row: int, seed: int) -> Infilled:
        """One text for the gap."""
        uniforms = Uniforms(seed)
        tokens, first = self.begin(uniforms.seed())
        if first.max() == DROPPED:
            raise CharrnnError("nothing that was begun fits what stands behind the gap: a greater `length` may")
        likely = np.exp(first - first.max())
        reached = likely.cumsum()
        places = reached.searchsorted([uniforms.next() * reached[-1] for _ in range(LOOKED_AT)], "right")
        chosen, times = np.unique(np.minimum(places, np.flatnonzero(likely)[-1]), return_counts=True)
        gaps = [tokens[place // first.shape[1]][: place % first.shape[1] + 1] for place in chosen.tolist()]
        own, weights = self.weigh(gaps)
        weights += np.log(times) - first.ravel()[chosen]
        written = ["".join(map(self.tokenizer.detokenizer().push, gap)) for gap in gaps]
        weights[[not self.allowed(text) for text in written]] = DROPPED
        if weights.max() == DROPPED:
            raise CharrnnError(
                "all that was begun would copy too much with what stands behind the gap: a larger `max_copy` may do"
            )
        shares = np.exp(weights - weights.max())
        at = int(draw(weights[None], np.array([uniforms.next()]))[0])
        return Infilled(row, seed, written[at], float(own[at]), float(shares.sum() ** 2 / (shares**2 / times).sum()))

    def begin(self, seed: int) -> tuple[list[list[int]], Doubles]:
        """Many texts behind the left side, their tokens; and behind each token the log-probability that the right side
        begins there (N, T): -inf where no gap can end."""
        texts = [
            TextSequence(0, self.before.ids, self.tokenizer, self.config, self.chain.processors, seed=seed + one)
            for one in range(BEGUN)
        ]
        halves, sizes = [self.tokenizer.detokenizer() for _ in texts], [0] * BEGUN
        going, told = list(range(BEGUN)), [np.full(BEGUN, DROPPED)]
        logits = self.before.logits.repeat(BEGUN, axis=0)
        state = self.engine.select_rows(self.before.state, [0] * BEGUN)
        with Serving(self.engine, BEGUN, self.config.length) as serving:
            while going:
                sequences = [texts[one] for one in going]
                tokens, told_of = self.chain.draw(logits, sequences)
                for sequence, token, of_it in zip(sequences, tokens.tolist(), told_of, strict=True):
                    sequence.push(token, *of_it)
                left = [at for at, sequence in enumerate(sequences) if sequence.finished != "end"]
                if not left:
                    break
                going, tokens = [going[at] for at in left], tokens[left]
                logits, state = serving.step(tokens, self.engine.select_rows(state, left))
                fits = np.full(BEGUN, DROPPED)
                fits[going] = log_probabilities(self.chain.own(logits), np.full(len(going), self.right[0]))
                for one, token in zip(going, tokens.tolist(), strict=True):
                    sizes[one] += len(halves[one].push(token))
                    if sizes[one] > self.config.length or halves[one].copy().finish():
                        fits[one] = DROPPED
                told.append(fits)
                open_rows = [at for at, one in enumerate(going) if texts[one].finished is None]
                going, logits = [going[at] for at in open_rows], logits[open_rows]
                state = self.engine.select_rows(state, open_rows)
        begun = len(self.before.ids)
        return [text.ids[begun:] for text in texts], np.array(told[1:] or told).T

    def weigh(self, gaps: Sequence[list[int]]) -> tuple[Doubles, Doubles]:
        """The log-probability of each gap and of the right side behind it; and how well it fits, but for a constant."""
        own = logprobs(self.engine, self.before, [[*gap, *self.right] for gap in gaps])
        gap_alone = np.array([each[: len(gap)].sum() for each, gap in zip(own, gaps, strict=True)])
        forwards = np.array([each.sum() for each in own])
        if self.backwards is None:
            return forwards, forwards - gap_alone
        other = logprobs(self.backwards, self.behind, [[*gap[::-1], *self.left] for gap in gaps])
        return forwards, (forwards + np.array([each.sum() for each in other])) / 2 - gap_alone


def logprobs(engine: Engine, begun: Reading, rows: Sequence[Sequence[int]]) -> list[Doubles]:
    """The log-probability of each token of some rows behind what was read, in nats."""
    read = read_side_by_side(engine, begun, rows)
    found = np.array([log_probabilities(logits.astype(np.float64), tokens) for tokens, logits in read])
    return [found[: len(row), at] for at, row in enumerate(rows)]
