"""Training from Python: a run as its events, and the verbs that follow it to its end."""

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from charrnn.api.arguments import AnyPath, folder, known_options, train_options
from charrnn.api.logs import logged, require_installed
from charrnn.api.model import Model, load
from charrnn.config import ResumeOptions, TrainOptions
from charrnn.errors import RunError
from charrnn.storage import checkpoint
from charrnn.storage.atomic import write_atomically
from charrnn.storage.runs import Run

if TYPE_CHECKING:
    from charrnn.training.events import Event, Note
    from charrnn.training.progress import Progress
    from charrnn.training.recording import Training as Session


class Training:
    """A run under way: iterate it for its events (Report, Note, at last Stopped); `model` is then the best of it.

    A loop that is left goes on where it was when the training is iterated again. Ctrl-C while it trains ends it after
    its step with everything saved: Stopped comes, and then KeyboardInterrupt; a second Ctrl-C leaves at once. In the
    body of the loop Ctrl-C is the program's own: the training stands between two steps, and can go on or `stop`.

        training = charrnn.Training.start("corpus.txt", seconds="10m")
        for event in training:
            ...
        print(training.model.sample())
    """

    def __init__(self, session: "Session") -> None:
        self._session = session
        self._events = self._follow()

    @classmethod
    @known_options(TrainOptions)
    def start(
        cls,
        corpus: AnyPath | Iterable[AnyPath] | None = None,
        *,
        checkpoints: AnyPath | None = None,
        **options: Any,
    ) -> Self:
        """Read the corpus (files, or the name of a bundled one), decide what was left open, make the run's folder.

        Options are the fields of `TrainOptions`; `seconds` takes '10m' too. Raises ConfigError, CorpusError, RunError
        or CheckpointError.
        """
        asked = train_options(corpus, options)
        from charrnn.training.distributed import begin

        return cls(begin(asked, checkpoints=folder(checkpoints)))

    @classmethod
    @known_options(ResumeOptions)
    def resume(
        cls,
        name: AnyPath | None = None,
        *,
        corpus: AnyPath | Iterable[AnyPath] | None = None,
        checkpoints: AnyPath | None = None,
        **options: Any,
    ) -> Self:
        """Go on exactly where a run stopped: by its name or folder, or the run trained last.

        Options are the fields of `ResumeOptions`: steps, epochs or seconds are a new budget for the whole run, `more`
        is time ('10m') on top of what is spent. `corpus` is where its text is now, if it has moved. Raises ConfigError,
        RunError when there is nothing to resume or that budget is spent, CorpusError when the corpus has changed.
        """
        asked = ResumeOptions.of(**options)
        sources = None if corpus is None else train_options(corpus, {}).corpus
        from charrnn.training.distributed import go_on

        name = None if name is None else os.fspath(name)
        return cls(go_on(name, corpus=sources, checkpoints=folder(checkpoints), **asked.to_json()))

    def __iter__(self) -> "Iterator[Event]":
        return self._events

    def __repr__(self) -> str:
        config = self._session.trainer.model.config
        return f"<Training {config.titled(self.run.name)}{config.manner}, {self.progress.position.step:,} steps>"

    def stop(self) -> None:
        """End after the step that is running, with everything saved; from another thread or a signal handler too."""
        self._session.stop()

    def close(self) -> None:
        """Leave it where it was saved last, for others to go on with: no more events come."""
        self._events.close()
        self._session.lock.release()

    @property
    def stopping(self) -> bool:
        """Whether it has been asked to stop."""
        return self._session.trainer.stop

    @property
    def run(self) -> Run:
        """Its folder and the files in it."""
        return self._session.run

    @property
    def notes(self) -> list[str]:
        """What was decided before the first step, one line each."""
        return self._session.notes

    @property
    def options(self) -> dict[str, Any]:
        """Those of its network and of its training, by name."""
        trainer = self._session.trainer
        return {**trainer.model.config.to_json(), **trainer.config.to_json()}

    @property
    def progress(self) -> "Progress":
        """Where it stands: steps, tokens, seconds, the best loss so far."""
        return self._session.trainer.progress

    @property
    def best_bpc(self) -> float | None:
        """The best loss so far in bits per character: of the validation part, of training where none is held out."""
        loss = self.progress.best.loss
        return None if loss is None else loss * self._session.trainer.bits

    @property
    def validates(self) -> bool:
        """Whether a part is held out to choose the best model."""
        return self._session.data.valid is not None

    @property
    def documents(self) -> str:
        """How its text is told apart: stream, lines or paragraphs."""
        return self._session.data.split.documents

    @property
    def model(self) -> Model:
        """The best model so far, read from the run's folder. Raises RunError before anything is saved there."""
        if not self.run.model.exists():
            raise RunError(f"the run {self.run.name} has saved no model yet: it does so as its events are iterated")
        return load(self.run.folder)

    def _follow(self) -> "Generator[Event, None, None]":
        from charrnn.training.events import Stopped

        events, interrupted = self._session.events(), False
        while True:
            with _stopped_by_ctrl_c(self) as came:
                event = next(events, None)
                failed = self._draw() if isinstance(event, Stopped) else None
            interrupted |= bool(came)
            if event is None:
                break
            if failed is not None:
                yield failed
            yield event
        if interrupted:
            raise self._interrupt()

    def _draw(self) -> "Note | None":
        """The curve of it all; a picture is no reason to fail, for everything is trained and saved."""
        from charrnn.training.events import Note

        if self._session.trainer.world.rank:
            return None
        try:
            draw(self.run)
        except Exception as problem:
            return Note(f"{self.run.curve} could not be drawn: {problem!r}", warning=True)
        return None

    def _interrupt(self) -> KeyboardInterrupt:
        """What ends a program whose training was stopped by Ctrl-C, and how it goes on."""
        where, step = str(self.run.folder), self.progress.position.step
        return KeyboardInterrupt(f"stopped at step {step:,} and saved: charrnn.resume({where!r}) goes on")


def draw(run: Run) -> None:
    """The picture of a run, curve.svg, from its metrics; none of a run that has reported nothing."""
    from charrnn.plotting.curve import draw_curve

    if metrics := list(run.read_metrics()):
        config = checkpoint.read_header(run.resume).config
        picture = draw_curve(metrics, config.titled(run.name) + config.manner)
        write_atomically(run.curve, picture)


@known_options(TrainOptions)
def train(
    corpus: AnyPath | Iterable[AnyPath] | None = None,
    *,
    checkpoints: AnyPath | None = None,
    progress: bool | None = None,
    log: str | None = None,
    on_event: "Callable[[Event], None] | None" = None,
    **options: Any,
) -> Model:
    """Train a model on a text and return the best of it. Options are the fields of `TrainOptions`.

    Progress is shown in a terminal and in a notebook unless `progress` is False, and elsewhere if it is True;
    `on_event` is called with every event; `log`, tensorboard or wandb, has them drawn as well. Ctrl-C ends the training
    after its step, saves, and raises KeyboardInterrupt: `resume` goes on. Raises ConfigError, CorpusError, RunError,
    CheckpointError, DivergedError or DeviceMemoryError.
    """
    require_installed(log)
    return _to_the_end(Training.start(corpus, checkpoints=checkpoints, **options), progress, log, on_event)


@known_options(ResumeOptions)
def resume(
    name: AnyPath | None = None,
    *,
    corpus: AnyPath | Iterable[AnyPath] | None = None,
    checkpoints: AnyPath | None = None,
    progress: bool | None = None,
    log: str | None = None,
    on_event: "Callable[[Event], None] | None" = None,
    **options: Any,
) -> Model:
    """Go on exactly where a run stopped, as `Training.resume`, follow it as `train`, and return the best model."""
    require_installed(log)
    training = Training.resume(name, corpus=corpus, checkpoints=checkpoints, **options)
    return _to_the_end(training, progress, log, on_event)


def _to_the_end(
    training: Training, progress: bool | None, log: str | None, on_event: "Callable[[Event], None] | None"
) -> Model:
    from charrnn.console import say, somebody_watches
    from charrnn.console.display import TrainingDisplay

    with ExitStack() as around:
        display = None
        if somebody_watches() if progress is None else progress:
            for note in training.notes:
                say(note)
            display = around.enter_context(TrainingDisplay())
        interrupted = around.enter_context(_stopped_by_ctrl_c(training))
        around.callback(training.close)
        hear = around.enter_context(logged(log, training))
        for event in training:
            hear(event)
            if display is not None:
                display.show(event)
            if on_event is not None:
                on_event(event)
    if interrupted:
        raise training._interrupt()
    return training.model


@contextmanager
def _stopped_by_ctrl_c(training: Training) -> Iterator[list[int]]:
    """The first Ctrl-C ends the training after its step, the second at once; what came is listed.

    Once it has been asked to stop, Ctrl-C is left as it is. A handler of the program's own is left to it, and another
    thread than the main one has none.
    """
    came: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        came.append(number)
        training.stop()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    ours = threading.current_thread() is threading.main_thread()
    if not ours or training.stopping or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield came
        return
    signal.signal(signal.SIGINT, stop)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
