"""Words that a bidirectional model would write into a gap, from either side of it."""

import re
from collections.abc import Mapping

from charrnn.config import ModelConfig, require
from charrnn.generation.config import SampleConfig
from charrnn.generation.loop import generate
from charrnn.inference.engine import open_engine
from charrnn.inference.products import Floats
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
    """The words that `drawn` samples forwards begin with behind `left`, and, of a model of characters, those that as
    many backwards begin with in front of `right`; each once.

    Raises ConfigError when the model reads forwards alone.
    """
    require(config.bidirectional, "the model reads forwards alone: train one with --bidirectional")
    options = SampleConfig(temperature=1.0, length=LONGEST)

    def words(direction: str, prompt: str) -> list[str]:
        texts = [""] * drawn
        engine = open_engine(config, weights, "fp32", direction)
        for chunk in generate(engine, tokenizer, options, prompt=prompt, rows=drawn, seed=seed):
            texts[chunk.row] += chunk.text
        return [found.group() for text in texts if (found := WORD.match(text))]

    found = words("forwards", left)
    if tokenizer.kind == "char":
        # Of bytes and pieces, what reads backwards reads the tokens in reverse, not the letters.
        found += [word[::-1] for word in words("backwards", right[::-1])]
    return list(dict.fromkeys(found))
