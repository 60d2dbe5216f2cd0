"""Words that a bidirectional model would write into a gap, from either side of it."""

import re
from collections.abc import Mapping

from charrnn.config import ModelConfig, SampleConfig, require
from charrnn.generation.loop import generate
from charrnn.inference.engine import Engine
from charrnn.inference.products import Floats
from charrnn.models.weights import BACKWARDS, FORWARDS
from charrnn.text.tokenizers import Tokenizer

LONGEST = 24
WORD = re.compile(r"\w+")


def propose(
    config: ModelConfig,
    weights: Mapping[str, Floats],
    tokenizer: Tokenizer,
    left: str,
    right: str,
    *,
    drawn: int,
    seed: int,
) -> list[str]:
    """The words that `drawn` samples of the forward half begin with behind `left`, and, of a model of characters, those
    that as many of the backward half begin with in front of `right`; each once.

    Raises ConfigError when the model reads forwards alone.
    """
    require(config.bidirectional, "the model reads forwards alone: train one with `bidirectional`")
    options = SampleConfig(temperature=1.0, length=LONGEST)

    def words(direction: str, prompt: str) -> list[str]:
        texts = [""] * drawn
        engine = Engine(config, weights, "fp32", direction)
        for piece in generate(engine, tokenizer, options, prompt=prompt, rows=drawn, seed=seed):
            texts[piece.row] += piece.text
        return [found.group() for text in texts if (found := WORD.match(text))]

    found = words(FORWARDS, left)
    if tokenizer.kind == "char":
        # Of bytes and pieces, the backward half reads the tokens turned round, not the letters.
        found += [word[::-1] for word in words(BACKWARDS, right[::-1])]
    return list(dict.fromkeys(found))
