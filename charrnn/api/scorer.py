"""What a model makes of a text that is there: figures, surprisal, features, a smaller file."""

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from charrnn.api.arguments import AnyPath, known_options
from charrnn.api.opened import Opened
from charrnn.api.threads import use_threads
from charrnn.compression.compress import Compressor
from charrnn.config.verbs import by_counts
from charrnn.text.corpus import Corpus

if TYPE_CHECKING:
    from charrnn.api.lines import LineScore
    from charrnn.api.pairs import AnyPairs
    from charrnn.api.surprisal import Surprisal
    from charrnn.scoring.figures import Score
    from charrnn.scoring.pairs import PairScores


class Scorer(Opened):
    """The verbs that read text."""

    @known_options()
    def score(
        self,
        text: AnyPath | Corpus,
        *,
        lines: bool = False,
        reset_every: int | None = None,
        unknown: bool = False,
        batch_size: int | None = None,
        adapt: str | bool = False,
        fit_temperature: bool = False,
        baselines: bool = False,
        threads: int | None = None,
    ) -> "Score":
        """Every figure of a text (see `Score`), or of a file given as a Path; a model of documents resets at each.

        With `lines`, each line is scored alone, its line end with it. `adapt` adds the score `adapted` beside the plain
        one ("gradient", or True: dynamic evaluation), `adapted_counts` ("counts": context mixing, the network as one of
        those that are mixed), or all of them and `adapted_both` ("both"); `fit_temperature` adds `fitted`; `baselines`,
        bits per byte by compressors and an n-gram model, alone and after the training text. Of a model beside counts,
        `network` is the score of its network alone. Raises VocabularyError when the vocabulary lacks a character,
        unless `unknown` is set; CorpusError when the text is empty, or the training text gone.
        """
        from charrnn.api.scoring import scored

        use_threads(threads)
        return scored(
            self,
            text,
            lines=lines,
            reset_every=reset_every,
            unknown=unknown,
            batch_size=batch_size,
            adapt=adapt,
            fit_temperature=fit_temperature,
            baselines=baselines,
        )

    @known_options()
    def surprisal(
        self,
        text: AnyPath | Corpus,
        *,
        per: str = "word",
        space: str = "after",
        top: int = 0,
        context: str = "",
        unknown: bool = False,
        threads: int | None = None,
    ) -> "Surprisal":
        """What each word, character, token or line of a text costs in bits, as rows of a structured array.

        They add up to the `score` of the text. `space` says whose the white space between words is, `top` how many
        alternatives to tell of each token; `context` is read before each document, or the text, and not scored.
        """
        from charrnn.api.surprisal import surprisal

        use_threads(threads)
        return surprisal(self, text, per=per, space=space, top=top, context=context, unknown=unknown)

    @known_options()
    def score_lines(
        self,
        texts: "AnyPath | Iterable[str | None]",
        *,
        context: str = "",
        carry: bool = False,
        unknown: bool = False,
        unbuffered: bool = False,
        precision: str | None = None,
        adapt: str | None = None,
        threads: int | None = None,
    ) -> "Iterator[LineScore]":
        """The score of each line (see `LineScore`), in order, as they come: of strings, of a text, of a Path's file.

        Each is scored alone, as `score(lines=True)` does it, many side by side, none of them kept; a model of
        documents takes each for a document. `context` is read before each; with `carry`, they are one running text.
        `unbuffered`: each is scored before the next is asked for; None among strings asks for those that have come.
        `precision`: fp32, the model's own numbers, or int8, those that it samples by: the same on every machine, and
        several times as fast. With `adapt` "counts", context mixing beside the network: counts that begin with the
        training text learn from each line, and so the order tells; `context` is not for them.
        Raises ConfigError on `carry` beside a model of documents, VocabularyError, with the line's number, when the
        vocabulary lacks a character, unless `unknown` is set.
        """
        from charrnn.api.lines import score_lines

        use_threads(threads)
        return score_lines(
            self, texts, context=context, carry=carry, unknown=unknown, unbuffered=unbuffered, precision=precision,
            learns=by_counts(adapt),
        )  # fmt: skip

    @known_options()
    def pairs(
        self,
        pairs: "AnyPairs",
        *,
        end: bool = True,
        unknown: bool = False,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> "PairScores":
        """Minimal pairs: of (good, bad) sentences, or files of such (BLiMP's, TSV, agreement sets), how many are right.

        A sentence is scored whole, from a fresh state, with its line end or document's end after it unless `end` is
        False. Raises VocabularyError when the vocabulary lacks a character, unless `unknown` is set; CorpusError when
        a file cannot be read, with the line.
        """
        from charrnn.api.pairs import scored

        use_threads(threads)
        return scored(self, pairs, end=end, unknown=unknown, batch_size=batch_size)

    @known_options()
    def embed(
        self,
        texts: AnyPath | Corpus | Iterable[str],
        *,
        per: str = "line",
        layer: int | str | None = None,
        pool: str = "mean",
        unknown: bool = False,
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> "npt.NDArray[np.float32]":
        """The network's hidden states as features (N, D): a vector for each line, word, character or token, in order.

        A text, or a file given as a Path, is taken line by line, each read alone; several texts each as one line. Words
        stand between white space, as `str.split` has them. `layer` counts from 1; the last, or 'all' of them. `pool` is
        the mean of the states over a line or word, or the last state of each direction (of words: Akbik et al. 2018);
        D is directions x models of an ensemble x layers x H, in this order. Raises VocabularyError when the vocabulary
        lacks a character, unless `unknown` is set; ConfigError on a layer that there is not.
        """
        from charrnn.analysis.embeddings import features
        from charrnn.api.embedding import embeddings

        use_threads(threads)
        found = embeddings(self, texts, per=per, layer=layer, pool=pool, unknown=unknown, batch_size=batch_size)
        none = np.empty((0, features(self.config, layer)), np.float32)
        return np.concatenate([none, *(rows.vectors for rows in found)])

    @cached_property
    def compressor(self) -> Compressor:
        """What compresses with this model, and tells how it went."""
        from charrnn.api.baselines import end_of_training_text

        return Compressor(
            self.config, self.weights, self.tokenizer, self.documents, self.counts,
            training_text=lambda: end_of_training_text(self)[0],
        )  # fmt: skip

    @known_options()
    def compress(self, data: bytes, *, blocks: int | None = None, adapt: str | None = None) -> bytes:
        """Any bytes as a compressed file, which `decompress` of the same model turns back on any machine.

        `blocks` of them are coded side by side; by default one for each 8,192 tokens, to 64. With `adapt` "counts" it
        is one block, smaller and slower: counts that begin with the training text, which must be at hand, then and for
        `decompress`, learn from what was read (context mixing). Raises CharrnnError where they cannot.
        """
        return self.compressor.compress(data, blocks, learning=by_counts(adapt)).data

    @known_options()
    def decompress(self, data: bytes) -> bytes:
        """What was compressed. Raises CorpusError when the file is damaged, or was compressed with another model."""
        return self.compressor.decompress(data)
