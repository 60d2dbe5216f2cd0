"""The part of a model's own corpus that was held out of its training."""

from collections.abc import Iterator

from charrnn.api.model import Model
from charrnn.errors import CharrnnError, CheckpointError, CorpusError
from charrnn.text.corpus import Corpus, in_memory
from charrnn.text.kept import KeptText
from charrnn.text.split import Split


def held_out(model: Model, part: str = "valid") -> "HeldOut":
    """The held-out part of the corpus that a model was trained on. Raises CorpusError when it is gone or changed."""
    try:
        split = Split.from_json(model.header.summary.get("split"))
    except CharrnnError:
        raise CheckpointError(f"{model.header.path} does not say what it was trained on: name a text") from None
    return HeldOut(split, part)


class HeldOut(KeptText):
    """One part of a corpus, read as a text of its own, once, when it is made; statistics are of the part alone."""

    def __init__(self, split: Split, part: str) -> None:
        file, sha256 = split.file(part)
        super().__init__(list(split.sources) if file is None else [file])
        self._label = f"{part} part of {' '.join(split.sources)}"
        if file is None:
            once = _OncePassed(self.sources)
            found = "".join(split.part(part, once))
            once.finish(split.sha256)
        else:
            found = "".join(split.part(part, self))
            self._label += f": {file}"
        if not found:
            raise CorpusError(f"the model was trained with no {part} part: name a text")
        self._text, self.statistics = in_memory(found)
        if file is not None and sha256 is None:
            self.statistics.notes.append(
                f"trained by an older charrnn, which did not keep a hash of {file}: it may have changed since"
            )

    @property
    def label(self) -> str:
        """Which part of what it is, and its file where it is one."""
        return self._label


class _OncePassed(Corpus):
    """A corpus that is read once, the whole of it by whoever takes a part and `finish`."""

    def __init__(self, sources: list[str]) -> None:
        super().__init__(sources)
        self._passed = super().chunks()

    def chunks(self) -> Iterator[str]:
        """The rest of the one pass."""
        return self._passed

    def finish(self, sha256: str) -> None:
        """Read what is left. Raises CorpusError unless the whole has this hash."""
        if self.survey().sha256 != sha256:
            raise CorpusError(f"{' '.join(self.sources)} has changed since the model was trained: name a text")
