"""What fits into a gap."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from charrnn.api.arguments import known_options
from charrnn.api.opened import Opened
from charrnn.generation.propose import propose

if TYPE_CHECKING:
    from charrnn.scoring.filling import Filled


class Filler(Opened):
    """The verb that fills gaps."""

    @known_options()
    def fill(
        self, left: str, right: str, candidates: "Iterable[str] | None" = None, *, drawn: int = 64, seed: int = 0
    ) -> "list[Filled]":
        """What fits between two texts, the best first, each candidate scored exactly with all that stands around it.

        Without candidates, both directions of the model propose words: `drawn` each. Raises ConfigError when the model
        reads forwards alone, VocabularyError on a character that it does not know.
        """
        from charrnn.scoring.filling import fill

        if candidates is None:
            candidates = propose(self.config, self.weights, self.tokenizer, left, right, drawn=drawn, seed=seed)
        return fill(self.network, self.tokenizer, left, right, list(candidates))
