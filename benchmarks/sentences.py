"""Sentences of a small grammar written for this project, whose verb agrees with a subject that may stand far before it.

    the owls                                    sleep again.
    the owls behind the king that saw the cats  sleep again.

Between the two stand none to four phrases, each with a noun of its own. In the text their numbers are drawn like any
other; in a pair all of them are of the other number than the subject: *attractors* (Bock & Miller 1991; Linzen et al.
2016). Nouns and verbs are regular, verbs in phrases past, so that one letter of one noun tells. A fifth of the couples
of subject and verb is kept from the text, and the pairs are made of these: no sentence of theirs can be remembered.
"""

import random
from collections.abc import Iterator, Sequence

from charrnn.text.pairs import Pair

NOUNS = ("baker", "cat", "cook", "girl", "hen", "king", "owl", "sailor", "swan", "widow")
VERBS = ("fall", "listen", "remain", "return", "sing", "sleep", "smile", "turn", "wait", "wake")
PREPOSITIONS = ("behind", "by", "near", "with")
PAST = ("fed", "hid", "knew", "saw")
TAILS = ("again", "at night", "here", "no more")
FARTHEST = 4
KEPT = 5


def noun_phrase(noun: str, plural: bool) -> str:
    """'the baker', 'the bakers'"""
    return f"the {noun}{'s' * plural}"


def sentence(draw: random.Random, numbers: Sequence[bool], *, kept: bool) -> tuple[str, str]:
    """A sentence whose subject and other nouns have these numbers (True: plural), and the same with a wrong verb.

    Its subject and verb are a couple that is `kept` from the text, or none.
    """
    subject = draw.randrange(len(NOUNS))
    verb = draw.choice([verb for place, verb in enumerate(VERBS) if ((subject + place) % KEPT == 0) == kept])
    words = [noun_phrase(NOUNS[subject], numbers[0])]
    for plural in numbers[1:]:
        joint = draw.choice(PREPOSITIONS) if draw.random() < 0.5 else f"that {draw.choice(PAST)}"
        words += [joint, noun_phrase(draw.choice(NOUNS), plural)]
    tail = draw.choice(TAILS)
    right, wrong = (f"{' '.join(words)} {verb}{'s' * singular} {tail}." for singular in (not numbers[0], numbers[0]))
    return right, wrong


def text(sentences: int, seed: int) -> list[str]:
    """So many sentences to learn from, with none to four phrases alike often."""
    draw = random.Random(seed)
    many = (1 + draw.randint(0, FARTHEST) for _ in range(sentences))
    return [sentence(draw, [draw.random() < 0.5 for _ in range(nouns)], kept=False)[0] for nouns in many]


def pairs(each: int, seed: int) -> Iterator[Pair]:
    """So many pairs for each number of attractors, half of their subjects plural."""
    draw = random.Random(seed)
    for attractors in range(FARTHEST + 1):
        for number in range(each):
            plural = number % 2 == 0
            good, bad = sentence(draw, [plural, *[not plural] * attractors], kept=True)
            yield Pair(good, bad, {"attractors": str(attractors)})
