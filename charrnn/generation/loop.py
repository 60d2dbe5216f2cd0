"""Prime, draw, feed the draw back in: a stream of text chunks for each row.

B rows are generated side by side; row i depends on seed + i alone, so it is the same text alone or in company.
"""

import time
from collections.abc import Iterator, Sequence

import numpy as np

from charrnn.config import seed_of_row
from charrnn.generation.chain import Chain
from charrnn.generation.config import SampleConfig
from charrnn.generation.constraints.exact import tried
from charrnn.generation.constraints.particles import resampled
from charrnn.generation.processors import compose
from charrnn.generation.sequence import TextChunk, TextSequence
from charrnn.inference.backends import Serving
from charrnn.inference.base import Drawing, Engine, Used
from charrnn.inference.reading import Reading, read
from charrnn.text.copy_index import CopyIndex
from charrnn.text.tokenizers import Tokenizer

# Tokens of a row that are drawn before any is looked at: few at first, for somebody waits, and then what takes about so
# many seconds.
FIRST_SPELL, LONGEST_SPELL, SPELL_SECONDS = 8, 4096, 0.03


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
    write = SAMPLERS[config.sampler or "masked"] if any(one.ends for one in processors) else side_by_side
    yield from write(engine, reading, chain, sequences, config.length)


def side_by_side(
    engine: Engine, reading: Reading, chain: Chain, sequences: Sequence[TextSequence], length: int
) -> Iterator[TextChunk]:
    """Draw what the chain leaves, for all rows at once, behind what was read."""
    rows, drawing = len(sequences), chain.drawing if engine.writes else None
    if drawing is not None:
        yield from in_spells(engine, reading, drawing, sequences, told=chain.told)
        return
    with Serving(engine, rows, length) as serving:
        logits, state = reading.logits.repeat(rows, axis=0), engine.select_rows(reading.state, [0] * rows)
        while sequences:
            tokens, told = chain.draw(logits, sequences)
            for sequence, token, of_it in zip(sequences, tokens.tolist(), told, strict=True):
                chunk = sequence.push(token, *of_it)
                if chunk is not None:
                    yield chunk
            if any(sequence.finished for sequence in sequences):
                going = [index for index, sequence in enumerate(sequences) if sequence.finished is None]
                sequences, tokens = [sequences[index] for index in going], tokens[going]
                state = engine.select_rows(state, going)
            if sequences:
                logits, state = serving.step(tokens, state)


def in_spells(
    engine: Engine, reading: Reading, drawing: Drawing, sequences: Sequence[TextSequence], *, told: bool
) -> Iterator[TextChunk]:
    """The same by the compiled step, which draws many tokens at a time: what stands behind an end is thrown away."""
    rows, spell = len(sequences), FIRST_SPELL
    logits, state = reading.logits.repeat(rows, axis=0), engine.select_rows(reading.state, [0] * rows)
    counts = np.array([one.counts(drawing.window)[: logits.shape[1]] for one in sequences])
    used = None
    while sequences:
        steps = min(spell, max(1, *(sequence.room for sequence in sequences)))
        uniforms = np.array([sequence.uniforms.take(steps) for sequence in sequences])
        if drawing.looks_back:
            leaving = [sequence.leaving(drawing.window, steps) for sequence in sequences]
            used = Used(counts, np.array(leaving, np.int64))
        began = time.perf_counter()
        drawn = engine.write(logits, state, uniforms, drawing, told, used)
        took = time.perf_counter() - began
        logits, state = drawn.logits, drawn.state
        logprobs = [None] * len(sequences) if drawn.logprobs is None else drawn.logprobs.tolist()
        for sequence, tokens, of_them in zip(sequences, drawn.ids.tolist(), logprobs, strict=True):
            chunk = sequence.extend(tokens, of_them)
            if chunk is not None:
                yield chunk
        if took < SPELL_SECONDS:
            spell = min(2 * spell, LONGEST_SPELL)
        elif took > 2 * SPELL_SECONDS:
            spell = max(FIRST_SPELL, spell // 2)
        if any(sequence.finished for sequence in sequences):
            going = [index for index, sequence in enumerate(sequences) if sequence.finished is None]
            sequences, logits, counts = [sequences[index] for index in going], logits[going], counts[going]
            state = engine.select_rows(state, going)


# How a text is kept to its pattern.
SAMPLERS = {"masked": side_by_side, "exact": tried, "smc": resampled}
