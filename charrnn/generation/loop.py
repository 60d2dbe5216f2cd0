"""Prime, draw, feed the draw back in: a stream of text chunks for each row.

B rows are generated side by side; row i depends on seed + i alone, so it is the same text alone or in company.
"""

from collections.abc import Iterator, Sequence

from charrnn.config import seed_of_row
from charrnn.generation.batch import Party, kind_of
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.constraints.exact import tried
from charrnn.generation.constraints.particles import resampled
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.inference.base import Engine
from charrnn.inference.reading import Reading, read
from charrnn.text.copy_index import CopyIndex
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
    learned: Sequence[CopyIndex] = (),
) -> Iterator[TextChunk]:
    """Generate `rows` texts that continue the prompt, numbered from `first`, chunk by chunk as they come.

    The prompt comes behind what was read before, where that is given (`after`). Each text ends after `config.length`
    code points, before a stop string, at the end of a document, or where a pattern ends. With `logprobs`, chunks say
    how likely the model itself held their tokens; `learned` are the texts that `config.max_copy` is of. Raises
    VocabularyError when the prompt holds characters that the vocabulary lacks, ConfigError when no text behind it can
    match the pattern, CharrnnError where `max_copy` leaves nothing to write.
    """
    reading = read(engine, tokenizer.encode(prompt).tolist(), after)
    processors = compose(config, tokenizer, learned)
    sequences = [
        TextSequence(row, reading.ids, tokenizer, config, processors, seed=seed_of_row(seed, row))
        for row in range(first, first + rows)
    ]
    chain = Chain(processors, tokenizer.size, endless=engine.config.vocab_size == tokenizer.size, told=logprobs)
    # A mask lets a model that has lost its way in a grammar write on, for it may not end there.
    sampler = config.sampler or ("exact" if config.grammar else "masked")
    write = SAMPLERS[sampler] if any(one.ends for one in processors) else side_by_side
    yield from write(engine, reading, chain, sequences, config.length)


def side_by_side(
    engine: Engine, reading: Reading, chain: Chain, sequences: Sequence[TextSequence], length: int
) -> Iterator[TextChunk]:
    """Draw what the chain leaves, for all rows at once, behind what was read."""
    party = Party(chain, sequences)
    with kind_of(engine, chain)(engine) as batch:
        batch.join(party, reading)
        while batch.parties:
            for _, chunk in batch.turn():
                yield chunk
    if party.problem is not None:
        raise party.problem


# How a text is kept to its pattern.
SAMPLERS = {"masked": side_by_side, "exact": tried, "smc": resampled}
