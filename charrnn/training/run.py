"""One training from a user's options to the files in its folder: begin it (`training/resume.py` goes on with it)."""

import dataclasses
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from charrnn import machine as precision
from charrnn.config import TrainConfig, TrainOptions, draw_seed, require
from charrnn.machine.threads import AdaptiveThreads
from charrnn.models.ensemble import Network, Predictor, backwards_of
from charrnn.models.ensemble import build as build_network
from charrnn.scoring.token_nll import token_nll
from charrnn.storage import runs
from charrnn.storage.lock import Lock
from charrnn.storage.runs import Run
from charrnn.storage.texts import whole_path
from charrnn.text.corpus import Corpus
from charrnn.text.dataset import VOCAB_SIZE, Dataset, build, documents_to_learn
from charrnn.text.documents import looks_like_lines
from charrnn.text.encodings import utf8
from charrnn.text.letters import newline_of
from charrnn.text.part import Part
from charrnn.text.sources import STDIN, keep, listed, read_once
from charrnn.text.split import split_corpus
from charrnn.text.tokenizers import tokenizer_class
from charrnn.training.batches import Streams, open_streams
from charrnn.training.finetune import Source
from charrnn.training.loop import Trainer
from charrnn.training.measure import Measurement
from charrnn.training.plan import VALIDATION_CHUNKS, plan
from charrnn.training.recording import Training, saver
from charrnn.training.sharing import exchange_weights, shared
from charrnn.training.streaming import ReadOnce, encoded
from charrnn.training.teacher import Teacher, student_of
from charrnn.training.world import ALONE, World

T = TypeVar("T")
# Characters of a text that is read once which are kept.
STREAM_HEAD = 16_000_000


def start(
    options: TrainOptions, *, checkpoints: Path | None = None, world: World = ALONE, threads: int | None = None
) -> Training:
    """Read, check, split and tokenize the corpus, decide what was left open, make the run's folder.

    The clock of a time budget starts here. What can be trained in it is measured in all of a world, which this process
    will train with so many `threads`; until then it alone is at work. Raises ConfigError, CorpusError, RunError or
    CheckpointError.
    """
    began = time.monotonic()
    folder = runs.checkpoints_folder(checkpoints)
    named, options = options.corpus[0], dataclasses.replace(options, corpus=tuple(listed(options.corpus)))
    source, teacher, options = _trained(options, folder, world)
    known = source or teacher
    any_bytes = (known.tokenizer if known else tokenizer_class(options.tokenizer or "char")).any_bytes
    corpus, readers = None, precision.readers(options.threads)
    if not options.stream and not any(map(read_once, options.corpus)):
        corpus = Corpus(list(options.corpus), any_bytes=any_bytes, processes=readers)
        corpus.survey()
    machine = precision.choose(options.device, options.precision, options.threads, tune=options.tune)
    run, lock = runs.create(folder, options.name, "stdin" if read_once(named) else named)
    try:
        coming = None
        if options.stream:
            options, coming = _begun(options, run, any_bytes)
        kept = _kept(options, run)
        if corpus is None:
            corpus = Corpus(list(kept.corpus), names=options.corpus, any_bytes=any_bytes, processes=readers)
            corpus.survey()
        options = kept
        corpus.sources = [whole_path(source) for source in corpus.sources]
        data = _and_coming(_dataset(corpus, options, run, known), coming)
        seed = draw_seed() if options.seed is None else options.seed
        if threads is not None:
            machine = precision.choose(options.device, options.precision, threads, tune=options.tune)
        adaptive = AdaptiveThreads(machine)
        choice = plan(
            options,
            data,
            seed=seed,
            machine=machine,
            source=source.config if source else None,
            measure=Measurement(machine, adaptive, world, teacher.config if teacher else None),
        )
        network = build_network(choice.model)
        network.initialise(torch.Generator().manual_seed(seed), options.spectral_radius)
        notes = [*data.notes, *choice.reasons]
        if source is not None:
            notes.insert(0, source.give(network, data.tokenizer))
        training = assemble(run, network.to(machine.device), choice.train, data, machine, notes, lock, adaptive)
        training.trainer.begin(time.monotonic() - began, trained=source is not None)
        return training
    except BaseException:
        _remove_empty(run)
        lock.release()
        raise


def _trained(options: TrainOptions, folder: Path, world: World) -> tuple[Source | None, Source | None, TrainOptions]:
    """The models to go on from and to learn from, and the options then. Raises ConfigError or CheckpointError."""
    source = teacher = None
    if options.start_from is not None:
        source = Source.read(runs.model_file(folder, options.start_from))
        source.check(options)
    if options.teacher is not None:
        require(world.size == 1, "a student learns in one process: leave out the launcher, or `teacher`")
        teacher = Source.read(runs.model_file(folder, options.teacher))
        options = student_of(options, teacher)
    elif options.stream and source is None:
        options = dataclasses.replace(options, tokenizer=options.tokenizer or "byte")
    return source, teacher, options


def _and_coming(data: Dataset, coming: Iterator[str] | None) -> Dataset:
    """With what comes behind the text that is kept, where it is read once."""
    if coming is None:
        return data
    behind = encoded(data.tokenizer, coming)
    return dataclasses.replace(data, coming=chain([np.asarray(data.train.tokens)], behind))


def _dataset(corpus: Corpus, options: TrainOptions, run: Run, source: Source | None) -> Dataset:
    valid, test = (whole_path(part) if isinstance(part, str) else part for part in (options.valid, options.test))
    documents = options.documents or (source.documents if source else "stream")
    split = split_corpus(corpus, corpus.statistics, documents=documents, valid=valid, test=test, choose=True)
    data = build(
        corpus,
        split,
        tokenizer=source.tokenizer.extended(documents_to_learn(split, corpus)) if source else None,
        kind=options.tokenizer or "char",
        vocab_size=options.vocab_size or VOCAB_SIZE,
        folder=run.folder if options.cache is None else Path(options.cache).absolute(),
    )
    if source is not None and options.teacher is not None:
        source.knows(data.tokenizer)
    if options.shuffle:
        require(documents == "stream", "documents are drawn in another order each epoch as it is: leave out `shuffle`")
        files = len(data.train.files)
        require(files > 1, "`shuffle` reads files in another order, and there is one to learn from: name several")
        data.notes.append(f"its {files} files are read in another order each epoch")
    if options.stream:
        require(documents == "stream", "a text that is read once has no documents: leave out `start_from`, or `stream`")
        data.notes.append(
            f"a stream: its first {corpus.statistics.bytes / 1e6:,.1f} MB are kept in {corpus.sources[0]} and give the "
            "vocabulary and, at their end, what is held out; what comes behind is read once and not kept"
        )
    if data.valid is None:
        data.notes.append("too little text to hold a part out: the last model is kept, not the best by validation")
    if documents == "stream" and options.documents is None and looks_like_lines(next(corpus.chunks())):
        data.notes.append(
            "the text looks like a list of short lines: `documents='lines'` learns each as a text of its own, with a "
            "beginning and an end"
        )
    return data


def _begun(options: TrainOptions, run: Run, any_bytes: bool) -> tuple[TrainOptions, Iterator[str]]:
    """Of a text that is read once: its beginning, kept in the run's folder as the run's text, and what comes behind."""
    chunks, size, beginning = Corpus(list(options.corpus), any_bytes=any_bytes).once(), 0, run.copy("corpus")
    with open(beginning, "wb") as out:
        while size < STREAM_HEAD and (chunk := next(chunks, "")):
            out.write(utf8(chunk))
            size += len(chunk)
    return dataclasses.replace(options, corpus=(str(beginning),)), chunks


def _kept(options: TrainOptions, run: Run) -> TrainOptions:
    """The same of files that can be read again: what can be read once, as a pipe, is copied to the run's folder."""
    sources = (*options.corpus, options.valid, options.test)
    require(sources.count(STDIN) <= 1, "standard input can be read once: name it for one text")

    def again(source: T, part: str, number: int = 1) -> T | str:
        if not isinstance(source, str) or not read_once(source):
            return source
        keep(source, copy := run.copy(part, number))
        return str(copy)

    return dataclasses.replace(
        options,
        corpus=tuple(again(source, "corpus", number) for number, source in enumerate(options.corpus, 1)),
        valid=again(options.valid, "valid"),
        test=again(options.test, "test"),
    )


def assemble(
    run: Run,
    network: Network,
    config: TrainConfig,
    data: Dataset,
    machine: precision.Machine,
    notes: list[str],
    lock: Lock,
    threads: AdaptiveThreads | None = None,
    *,
    world: World = ALONE,
) -> Training:
    """A run's training: its network on windows of its text, judged on what is held out, saved in its folder."""

    def windows(part: Part) -> Streams:
        return open_streams(
            part,
            start_id=network.config.start_id,
            batch_size=config.batch_size,
            bptt=config.bptt,
            seed=config.seed,
            state_drop=config.state_drop,
            newline=newline_of(data.tokenizer),
            shuffle=config.shuffle,
        )

    both = network.config.bidirectional
    valid = data.valid.beginning(config.validated) if data.valid is not None else None

    def mean_nll(model: Predictor, part: Part) -> float:
        nats = token_nll(model, part.tokens, part.starts, chunks=VALIDATION_CHUNKS, own=world.own)
        total = torch.tensor([nats.sum()], dtype=torch.float64, device=machine.device)
        world.sum([total])
        return float(total.item()) / nats.size

    def validate() -> float:
        assert valid is not None
        exchange_weights(network, shared(len(network.models), config.precision, world)[0])
        loss = mean_nll(network, valid)
        if not both:
            return loss
        return (loss + mean_nll(backwards_of(network), valid.reversed(network.config.start_id))) / 2

    rows: Streams = windows(data.train)
    if data.coming is not None:
        rows = ReadOnce(data.coming, lambda tokens: windows(Part(tokens, 0)), config.batch_size, config.bptt)
    trainer = Trainer(
        network,
        rows,
        config,
        machine,
        threads,
        tokens_per_char=data.train.tokens.size / max(1, data.train.chars),
        validate=validate if valid is not None else None,
        save=saver(run, network.config, data, config, machine) if world.rank == 0 else lambda *_: None,
        reverse=windows(data.train.reversed(network.config.start_id)) if both else None,
        teacher=Teacher.read(config.teacher, config.precision, machine.device) if config.teacher else None,
        world=world,
    )
    return Training(run, trainer, data, notes, machine, lock)


def _remove_empty(run: Run) -> None:
    """A run that failed before its first checkpoint leaves no folder behind, and its name free."""
    if not run.exists:
        run.remove()
