"""One training from a user's options to the files in its folder: begin it, or go on with it."""

import dataclasses
import time
from pathlib import Path

import torch

from charrnn import machine as precision
from charrnn.config import TrainConfig, TrainOptions, draw_seed, require
from charrnn.errors import CheckpointError, ConfigError, CorpusError, RunError
from charrnn.models.ensemble import Network, backwards_of
from charrnn.models.ensemble import build as build_network
from charrnn.scoring.token_nll import token_nll
from charrnn.storage import checkpoint, runs
from charrnn.storage.runs import Run
from charrnn.text.corpus import Corpus, keep_stdin
from charrnn.text.dataset import VOCAB_SIZE, Dataset, Part, build, documents_to_learn
from charrnn.text.split import Split, split_corpus
from charrnn.training.batches import Streams, open_streams
from charrnn.training.finetune import Source
from charrnn.training.loop import Trainer
from charrnn.training.plan import plan
from charrnn.training.progress import Progress, Snapshot
from charrnn.training.recording import Training, saver
from charrnn.training.time_budget import with_new_budget

DEFAULT_VALID = 0.05
LEAST_CHARS_TO_HOLD_OUT = 4000
VALIDATION_CHUNKS = 128


def start(options: TrainOptions, *, checkpoints: Path | None = None) -> Training:
    """Read, check, split and tokenize the corpus, decide what was left open, make the run's folder.

    The clock of a time budget starts here. Raises ConfigError, CorpusError, RunError or CheckpointError.
    """
    began = time.monotonic()
    folder = runs.checkpoints_folder(checkpoints)
    source = None
    if options.start_from is not None:
        source = Source.read(runs.model_file(folder, options.start_from))
        source.check(options)
    corpus = None
    if "-" not in options.corpus:
        corpus = Corpus(list(options.corpus))
        corpus.survey()
    machine = precision.choose(options.device, options.precision, options.threads, tune=options.tune)
    run = runs.create(folder, options.name, options.corpus[0])
    try:
        if corpus is None:
            require(options.corpus == ("-",), "standard input cannot be joined with other texts")
            keep_stdin(run.stdin_copy)
            corpus = Corpus([str(run.stdin_copy)])
            corpus.survey()
        corpus.sources = [_whole_path(source) for source in corpus.sources]
        data = _dataset(corpus, options, run, machine, source)
        seed = draw_seed() if options.seed is None else options.seed
        choice = plan(options, data, seed=seed, machine=machine, source=source.config if source else None)
        network = build_network(choice.model)
        network.initialise(torch.Generator().manual_seed(seed), options.spectral_radius)
        notes = [*data.notes, *choice.reasons, f"machine: {machine}, seed {seed}"]
        if source is not None:
            source.give(network, data.tokenizer)
            notes.insert(0, f"goes on from {source.path}")
        training = _training(run, network.to(machine.device), choice.train, data, machine, notes)
        training.trainer.begin(time.monotonic() - began, trained=source is not None)
        return training
    except BaseException:
        _remove_empty(run)
        raise


def resume(
    name: str | None = None,
    *,
    checkpoints: Path | None = None,
    device: str | None = None,
    threads: int | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    seconds: float | None = None,
) -> Training:
    """Go on exactly where a run stopped, with a new budget where one is given.

    Raises RunError when there is nothing to resume, CorpusError when the corpus has changed.
    """
    folder = runs.checkpoints_folder(checkpoints)
    run = runs.latest(folder) if name is None else runs.find(folder, name)
    if not run.resume.exists():
        raise RunError(f"{run.folder} has no {run.resume.name}: it cannot be resumed, only sampled from")
    for unfinished in run.folder.glob(".*.safetensors.*"):  # what a kill in the middle of saving leaves behind
        unfinished.unlink()
    header, tensors = checkpoint.read(run.resume)
    saved = header.metadata.get("resume")
    if not isinstance(saved, dict):
        raise CheckpointError(f"{run.resume} is not a file to resume from")
    try:
        progress = Progress.from_json(saved.get("progress"), written_by=header.written_by)
        config = TrainConfig.from_json(saved.get("train"), written_by=header.written_by)
        split = Split.from_json(saved.get("split"), written_by=header.written_by)
    except ConfigError as error:  # what stands in a file is no wrong usage
        raise CheckpointError(f"{run.resume} cannot be read: {error}") from None
    if (steps, epochs, seconds) != (None, None, None):
        config = dataclasses.replace(config, steps=steps, epochs=epochs, seconds=seconds)
        progress = _with_new_budget(progress)
    if progress.finished:
        raise RunError(
            f"the run {run.name} is complete after {progress.position.step:,} steps: `steps`, `epochs` or `seconds` "
            "with more than that goes on"
        )
    corpus = Corpus(list(split.sources))
    if corpus.survey().sha256 != split.sha256:
        raise CorpusError(f"{' '.join(split.sources)} has changed since the run began: it cannot be resumed exactly")
    machine = precision.choose(
        device,
        config.precision,
        threads or saved.get("threads"),
        tune=saved.get("tune") is not False,
        adaptive=threads is None and saved.get("adaptive") is True,
    )
    data = build(corpus, split, tokenizer=checkpoint.tokenizer_of(header), folder=run.folder)
    network, _ = checkpoint.build_model(header, tensors)
    notes = [f"resumed: {run.name} at step {progress.position.step:,}", f"machine: {machine}, seed {config.seed}"]
    if header.differences:
        notes.insert(1, f"begun by an older charrnn: from here on {', '.join(header.differences)}")
    training = _training(run, network.to(machine.device), config, data, machine, notes)
    try:
        training.trainer.restore(Snapshot(progress, tensors))
    except (KeyError, RuntimeError) as error:
        raise CheckpointError(f"{run.resume} is damaged: it lacks or distorts {error}") from None
    training.earlier += [event for event in run.read_metrics() if event["step"] <= progress.position.step]
    return training


def _with_new_budget(progress: Progress) -> Progress:
    """A run that goes on, for longer or otherwise than it was meant to: its end and early stopping are open again."""
    return dataclasses.replace(
        progress,
        finished=False,
        best=dataclasses.replace(progress.best, stale=0),
        time=with_new_budget(progress.time, progress.position.step),
    )


def _dataset(
    corpus: Corpus, options: TrainOptions, run: Run, machine: precision.Machine, source: Source | None
) -> Dataset:
    valid = options.valid
    if valid is None and corpus.statistics.kept >= LEAST_CHARS_TO_HOLD_OUT:
        valid = DEFAULT_VALID
    valid, test = (_whole_path(part) if isinstance(part, str) else part for part in (valid, options.test))
    documents = options.documents or (source.documents if source else "stream")
    split = split_corpus(corpus, corpus.statistics, documents=documents, valid=valid, test=test)
    data = build(
        corpus,
        split,
        tokenizer=source.tokenizer.extended(documents_to_learn(split, corpus)) if source else None,
        kind=options.tokenizer or "char",
        vocab_size=options.vocab_size or VOCAB_SIZE,
        folder=run.folder,
        threads=machine.threads,
    )
    if data.valid is None:
        data.notes.append("too little text to hold a part out: the last model is kept, not the best by validation")
    return data


def _whole_path(source: str) -> str:
    """A run may be resumed from another folder: its files are remembered by their whole path."""
    return str(Path(source).absolute()) if Path(source).exists() else source


def _training(
    run: Run, network: Network, config: TrainConfig, data: Dataset, machine: precision.Machine, notes: list[str]
) -> Training:

    def windows(part: Part) -> Streams:
        return open_streams(
            part,
            start_id=network.config.start_id,
            batch_size=config.batch_size,
            bptt=config.bptt,
            seed=config.seed,
            state_drop=config.state_drop,
            newline=_newline(data),
        )

    both = network.config.bidirectional
    valid = data.valid.beginning(config.validated) if data.valid is not None else None

    def validate() -> float:
        assert valid is not None
        loss = float(token_nll(network, valid.tokens, valid.starts, chunks=VALIDATION_CHUNKS).mean())
        if not both:
            return loss
        backwards = valid.reversed(network.config.start_id)
        other = token_nll(backwards_of(network), backwards.tokens, backwards.starts, chunks=VALIDATION_CHUNKS)
        return (loss + float(other.mean())) / 2

    trainer = Trainer(
        network,
        windows(data.train),
        config,
        machine,
        tokens_per_char=data.train.tokens.size / max(1, data.train.chars),
        validate=validate if valid is not None else None,
        save=saver(run, network.config, data, config, machine),
        reverse=windows(data.train.reversed(network.config.start_id)) if both else None,
    )
    return Training(run, trainer, data, notes, machine)


def _newline(data: Dataset) -> int | None:
    """The id of a line's end, where the training text has any."""
    id_, *_ = data.tokenizer.encode("\n", unknown=True).tolist()
    return id_ if id_ < data.tokenizer.size else None


def _remove_empty(run: Run) -> None:
    """A run that failed before its first checkpoint leaves no folder behind, and its name free."""
    if not run.model.exists() and not run.resume.exists():
        for file in run.folder.iterdir():
            file.unlink()
        run.folder.rmdir()
