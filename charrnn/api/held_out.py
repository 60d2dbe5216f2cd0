"""The part of a model's own corpus that was held out of its training."""

from charrnn.api.learned import split_at_hand
from charrnn.api.opened import Opened
from charrnn.errors import CheckpointError, CorpusError
from charrnn.text.corpus import in_memory
from charrnn.text.kept import KeptText, OncePassed
from charrnn.text.split import Split


def held_out(model: Opened, part: str = "valid") -> "HeldOut":
    """The held-out part of the corpus that a model was trained on. Raises CorpusError when it is gone or changed."""
    try:
        split = split_at_hand(model)
    except CheckpointError as problem:
        raise CheckpointError(f"{problem}: name a text") from None
    return HeldOut(split, part, any_bytes=model.tokenizer.any_bytes)


class HeldOut(KeptText):
    """One part of a corpus, read as a text of its own, once, when it is made; statistics are of the part alone."""

    def __init__(self, split: Split, part: str, *, any_bytes: bool) -> None:
        file, sha256 = split.file(part)
        try:
            super().__init__(list(split.sources) if file is None else [file], any_bytes=any_bytes)
        except CorpusError as error:
            moved = "name a text" if file else "name a text, or where it is now: `corpus` beside `resume`"
            raise CorpusError(f"{error}, which the model was trained on: {moved}") from None
        self._label = f"{part} part of {' '.join(split.sources)}"
        if file is None:
            once = OncePassed(self.sources, any_bytes=any_bytes)
            found = "".join(split.part(part, once))
            once.finish(split)
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
