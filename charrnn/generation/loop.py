"""Prime, draw, feed the draw back in: a stream of text chunks for each row.

B rows are generated side by side; row i depends on seed + i alone, so it is the same text alone or in company.
"""

import itertools
from collections.abc import Iterable, Iterator

import numpy as np

from charrnn.config import seed_of_row
from charrnn.generation.config import SampleConfig
from charrnn.generation.drawing import draw, log_probabilities
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.inference.backends import Serving
from charrnn.inference.base import Engine
from charrnn.inference.reading import Reading, read
from charrnn.text.tokenizers import Tokenizer


def generate(
    engine: Engine,
    tokenizer: Tokenizer,
    config: SampleConfig,
    *,
    prompt: str = "",
    after: Reading | None = None,
    rows: int = 1,
    first: int = 0,
    seed: int = 0,
    logprobs: bool = False,
) -> Iterator[TextChunk]:
    """Generate `rows` texts that continue the prompt, numbered from `first`, chunk by chunk as they come.

    The prompt comes behind what was read before, where that is given (`after`). Each text ends after `config.length`
    code points, before a stop string, or at the end of a document. With `logprobs`, chunks say how likely the model
    itself held their tokens. Raises VocabularyError when the prompt holds characters that the vocabulary lacks.
    """
    reading = read(engine, tokenizer.encode(prompt).tolist(), after)
    processors = compose(config, tokenizer)
    asked = logprobs or any(processor.uses_logprob for processor in processors)
    sequences = [
        TextSequence(row, reading.ids, tokenizer, config, processors, seed=seed_of_row(seed, row))
        for row in range(first, first + rows)
    ]
    with Serving(engine, rows, config.length) as serving:
        logits, state = reading.logits.repeat(rows, axis=0), engine.select_rows(reading.state, [0] * rows)
        while sequences:
            own = processed = logits.astype(np.float64)
            for processor in processors:
                processed = processor(processed, sequences)
            tokens = draw(processed, np.array([sequence.uniforms.next() for sequence in sequences]))
            found: Iterable[float | None] = log_probabilities(own, tokens).tolist() if asked else itertools.repeat(None)
            for sequence, token, logprob in zip(sequences, tokens.tolist(), found, strict=False):
                chunk = sequence.push(token, logprob)
                if chunk is not None:
                    yield chunk
            if any(sequence.finished for sequence in sequences):
                going = [index for index, sequence in enumerate(sequences) if sequence.finished is None]
                sequences, tokens = [sequences[index] for index in going], tokens[going]
                state = engine.select_rows(state, going)
            if sequences:
                logits, state = serving.step(tokens, state)
