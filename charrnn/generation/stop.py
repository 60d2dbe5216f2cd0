"""Where a text ends: before a stop string, or at its length in code points."""

from collections.abc import Sequence


class StopSearch:
    """Looks for stop strings in a text that comes in pieces, and holds back what may become one.

    A stop string counts where it begins within the length, though it ends beyond it.
    """

    def __init__(self, stops: Sequence[str], length: int) -> None:
        self._stops, self._room = stops, length
        self._held = ""

    @property
    def room(self) -> int:
        """Characters that there is room for behind those held back: with none, the next one decides."""
        return self._room - len(self._held)

    def push(self, piece: str) -> tuple[str, str | None]:
        """More of the text -> what is certain to be written of it, and why it ends there: 'stop', 'length' or None."""
        self._held += piece
        if not self._stops:
            return self._release(len(self._held))
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places and min(places) < self._room:
            return self._held[: min(places)], "stop"
        return self._release(len(self._held) - self._may_begin())

    def finish(self, piece: str) -> str:
        """The last of the text -> what is still to be written."""
        return (self._held + piece)[: self._room]

    def _release(self, safe: int) -> tuple[str, str | None]:
        """So much of what is held, as far as there is room."""
        safe = min(safe, self._room)
        text, self._held = self._held[:safe], self._held[safe:]
        self._room -= safe
        return text, None if self._room else "length"

    def _may_begin(self) -> int:
        """How many characters at the end of the held text may be the beginning of a stop string."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(self._held)), longest, -1):
                if self._held.endswith(stop[:length]):
                    longest = length
                    break
        return longest
