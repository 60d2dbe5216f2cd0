"""Two small tasks on the states of a model that reads both ways: a tagger of words, a classifier of sentences.

    pip install scikit-learn
    python docs/examples/features.py [SECONDS]

The model learns for so many seconds (60 unless told) from seven of the eight parts of the bundled book, without any
label. Logistic regression learns from its states there, and is tested on the eighth part, which neither has seen.
"""

import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import charrnn

BOOK = Path(__file__).parents[2] / "corpora/fables.txt"
LAST_PART = "PART EIGHT."

# A lexicon written by hand: words that are nearly always the one thing in this book.
LEXICON = {
    "name": """Agnes Nell Marten Brand Tobias Hester Pym Gullhaven Wendlemere Osbert Quill Corbel Amos Rosalind Larch
        Jory Orrin Tolley Vane Fenn Hale Carrow Ann Pask Ned Margery Harrow Dorcas Joan Sorrel Prudence Lovibond Brack
        Simm Oakes Davy Bunce Tarrant Silas Matthew Walter William Griggs Noah Odell Pinnock Thorley Stubb""",
    "noun": """river water boat town bridge house door table chair window hand head foot eye face voice word bell rope
        stone tree leaf field hill road street church mill wheel bread cheese egg fish heron otter owl crow fox goose
        hen cat dog horse man woman boy girl child king queen miller ferryman parson baker night morning evening
        winter summer spring autumn year week day hour rain snow wind ice fire lamp candle coat hat shoe pocket bag box
        letter book page song story name money penny shilling price place side end corner roof wall floor kitchen""",
    "verb": """said went came took gave made knew thought saw heard found told asked put stood sat lay held kept left
        brought began ran got felt looked turned called walked wanted lived worked waited opened carried laughed tried
        seemed stopped sent read wrote spoke fell sang drew threw grew paid sold bought lost met passed pulled pushed
        filled climbed answered remembered believed agreed swam flew ate drank slept wept built counted carry bring
        take give make know think see hear find tell ask keep sit hold go come""",
    "adjective": """old young new small large great long short high low deep wide thin fat heavy light dark white black
        red green brown grey cold warm hot wet dry good bad best better fine poor rich proud quiet loud slow quick
        clever honest sorry glad afraid empty full broken clean dirty soft hard sharp sweet wise foolish""",
}  # fmt: skip
TAGS = {word: tag for tag, words in LEXICON.items() for word in words.split()}
# Every fourth word of each list is kept for the test: the tagger has never seen it.
KEPT = {word for words in LEXICON.values() for word in words.split()[::4]}


class Task(NamedTuple):
    """What is to be told apart: states to learn from and to be tested on, the labels, and the plain text."""

    states: tuple[Any, Any]
    labels: tuple[list[str], list[str]]
    texts: tuple[list[str], list[str]]


def paragraphs(text: str) -> list[str]:
    """Each on one line."""
    return [" ".join(one.split()) for one in re.split(r"\n\s*\n", text) if one.strip()]


def words_to_tag(model: charrnn.Model, text: str, kept: bool) -> tuple[Any, list[str], list[str]]:
    """States, tags and texts of those words of the lexicon that are kept for the test, or that are not."""
    lines = paragraphs(text)
    states = model.embed(lines, per="word", pool="last", unknown=True)
    words = [word.strip(".,;:!?\"'()") for line in lines for word in line.split()]
    chosen = [at for at, word in enumerate(words) if word in TAGS and (word in KEPT) is kept]
    return states[chosen], [TAGS[words[at]] for at in chosen], [words[at] for at in chosen]


def sentences(text: str) -> tuple[list[str], list[str]]:
    """What stands between quotation marks and what does not, without the marks, and which it is."""
    texts, labels = [], []
    for paragraph in paragraphs(text):
        if paragraph.count('"') % 2 or not paragraph.count('"'):
            continue
        for number, part in enumerate(paragraph.split('"')):
            for sentence in re.findall(r"[A-Z][^.!?]{20,}[.!?]", part):
                texts.append(sentence)
                labels.append("speech" if number % 2 else "narration")
    return texts, labels


def accuracy(train: Any, labels: Sequence[str], test: Any, truth: Sequence[str], before: Any) -> float:
    """Of logistic regression on features."""
    strength = 0.01 if isinstance(before, StandardScaler) else 10.0
    classifier = make_pipeline(before, LogisticRegression(C=strength, max_iter=300))
    return float((classifier.fit(train, labels).predict(test) == np.array(truth)).mean())


def report(name: str, task: Task, **spelling: Any) -> float:
    """Print the accuracies of a task, and return that of the states."""
    learned, truth = task.labels
    by_states = accuracy(task.states[0], learned, task.states[1], truth, StandardScaler())
    by_spelling = accuracy(task.texts[0], learned, task.texts[1], truth, TfidfVectorizer(lowercase=False, **spelling))
    commonest = max(set(truth), key=truth.count)
    print(f"{name}: {len(learned):,} to learn from, {len(truth):,} to be tested on")
    print(f"  always {commonest}: {truth.count(commonest) / len(truth):.1%}")
    print(f"  TF-IDF of the text alone: {by_spelling:.1%}")
    print(f"  states of the model: {by_states:.1%}")
    return by_states


def main(seconds: float | None = 60, **options: Any) -> list[float]:
    """The accuracies of the tagger and of the classifier, by states. Options are those of `charrnn.train`."""
    text = BOOK.read_text(encoding="utf-8")
    cut = text.rindex(LAST_PART)
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "seven-parts.txt"
        corpus.write_text(text[:cut], encoding="utf-8")
        model = charrnn.train(
            corpus, checkpoints=folder, bidirectional=True, **({"seconds": seconds, "seed": 1} | options)
        )
    print(f"{model}, both ways")

    learn, test = (words_to_tag(model, part, kept) for part, kept in ((text[:cut], False), (text[cut:], True)))
    tagging = Task(*zip(learn, test, strict=True))
    tagged = report("tags of words that were never seen with a tag", tagging, analyzer="char_wb", ngram_range=(1, 4))

    pairs = [sentences(part) for part in (text[:cut], text[cut:])]
    states = model.embed(pairs[0][0], unknown=True), model.embed(pairs[1][0], unknown=True)
    told = Task(states, (pairs[0][1], pairs[1][1]), (pairs[0][0], pairs[1][0]))
    return [tagged, report("speech or narration, quotation marks taken away", told, ngram_range=(1, 2))]


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
