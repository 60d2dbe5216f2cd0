"""One part of a text as tokens."""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from charrnn.text.token_files import Tokens


@dataclass(frozen=True, eq=False)
class Part:
    """Token ids (N,) of one part. `starts` (D,) are the first ids of its documents, None for one stream.

    `files` are the first ids of what a stream has of each of its files, where those are known.
    """

    tokens: Tokens
    chars: int
    starts: npt.NDArray[np.int64] | None = None
    unknown: int = 0
    files: tuple[int, ...] = ()

    def beginning(self, tokens: int) -> "Part":
        """The first `tokens` tokens, or the documents that begin among them."""
        if self.tokens.size <= tokens:
            return self
        if self.starts is None:
            return replace(self, tokens=self.tokens[:tokens])
        kept = int(np.searchsorted(self.starts, tokens))
        end = int(self.starts[kept]) if kept < self.starts.size else self.tokens.size
        return replace(self, tokens=self.tokens[:end], starts=self.starts[:kept])

    def end(self, tokens: int) -> "Part":
        """The last `tokens` tokens, or the documents that begin among them, the last at least."""
        first = self.tokens.size - tokens
        if first <= 0:
            return self
        if self.starts is None:
            return replace(self, tokens=self.tokens[first:], files=())
        kept = min(int(np.searchsorted(self.starts, first)), self.starts.size - 1)
        begin = int(self.starts[kept])
        return replace(self, tokens=self.tokens[begin:], starts=self.starts[kept:] - begin)

    def parted(self, place: int) -> "tuple[Part, Part]":
        """What stands before a token, the first of a document where there are such, and from there on."""
        before, after = (
            replace(self, tokens=self.tokens[:place], files=()),
            replace(self, tokens=self.tokens[place:], files=()),
        )
        if self.starts is None:
            return before, after
        later = self.starts >= place
        return replace(before, starts=self.starts[~later]), replace(after, starts=self.starts[later] - place)

    def reversed(self, start_id: int) -> "Part":
        """The same read from its end: the whole stream, or each document, whose end id stays at its end."""
        if self.starts is None:
            size = self.tokens.size
            files = tuple(size - end for end in reversed([*self.files[1:], *[size] * bool(self.files)]))
            return replace(self, tokens=self.tokens[::-1], files=files)
        ends = np.append(self.starts[1:], self.tokens.size)
        # Where each position of a document finds its token: from the last one back, the end id last.
        positions = np.arange(self.tokens.size)
        inner = ends - (self.tokens[ends - 1] == start_id)
        document = np.searchsorted(self.starts, positions, side="right") - 1
        mirrored = self.starts[document] + inner[document] - 1 - positions
        return replace(self, tokens=self.tokens[np.where(positions < inner[document], mirrored, positions)])
