"""Each processor for one row, slow and obvious, in plain Python: found by the name of the option that turns it on.

(logits, the ids so far, the values of its options) -> logits.
"""

import math
import re

DROPPED = -math.inf


def likeliest_first(logits: list[float]) -> list[int]:
    return sorted(range(len(logits)), key=lambda symbol: (-logits[symbol], symbol))


def only(kept: list[int], logits: list[float]) -> list[float]:
    return [logit if symbol in kept else DROPPED for symbol, logit in enumerate(logits)]


def repetition_penalty(logits: list[float], ids: list[int], penalty: float, window: int | None) -> list[float]:
    seen = ids if window is None else ids[max(0, len(ids) - window) :]
    made = []
    for symbol, logit in enumerate(logits):
        if symbol not in seen:
            made.append(logit)
        elif logit > 0:
            made.append(logit / penalty)
        else:
            made.append(logit * penalty)
    return made


def temperature(logits: list[float], ids: list[int], t: float) -> list[float]:
    if t == 0:
        return [0.0 if symbol == likeliest_first(logits)[0] else DROPPED for symbol in range(len(logits))]
    return [logit / t for logit in logits]


def top_k(logits: list[float], ids: list[int], k: int) -> list[float]:
    return only(likeliest_first(logits)[:k], logits)


def top_p(logits: list[float], ids: list[int], p: float) -> list[float]:
    weights = [math.exp(logit - max(logits)) for logit in logits]
    kept: list[int] = []
    for symbol in likeliest_first(logits):
        if math.fsum(weights[one] for one in kept) / math.fsum(weights) >= p:
            break
        kept.append(symbol)
    return only(kept, logits)


def min_p(logits: list[float], ids: list[int], p: float) -> list[float]:
    weights = [math.exp(logit - max(logits)) for logit in logits]
    return only([symbol for symbol, weight in enumerate(weights) if weight >= p * max(weights)], logits)


def allow(logits: list[float], ids: list[int], characters: tuple[str, ...]) -> list[float]:
    letters = "abcdefghijklmnop"
    return only([symbol for symbol in range(len(logits)) if letters[symbol] in "".join(characters)], logits)


def ban(logits: list[float], ids: list[int], characters: tuple[str, ...]) -> list[float]:
    letters = "abcdefghijklmnop"
    return only([symbol for symbol in range(len(logits)) if letters[symbol] not in "".join(characters)], logits)


def frequency_penalty(logits: list[float], ids: list[int], penalty: float) -> list[float]:
    return [logit - penalty * ids[-64:].count(symbol) for symbol, logit in enumerate(logits)]


def presence_penalty(logits: list[float], ids: list[int], penalty: float) -> list[float]:
    return [logit - penalty if symbol in ids[-64:] else logit for symbol, logit in enumerate(logits)]


def probabilities(logits: list[float]) -> list[float]:
    weights = [math.exp(logit - max(logits)) for logit in logits]
    return [weight / math.fsum(weights) for weight in weights]


def entropy(logits: list[float]) -> float:
    return -math.fsum(p * math.log(p) for p in probabilities(logits) if p > 0)


def typical_p(logits: list[float], ids: list[int], p: float) -> list[float]:
    share, expected = probabilities(logits), entropy(logits)
    # Rounded, so that symbols that are equally far are so here too.
    by_distance = sorted(range(len(logits)), key=lambda one: (round(abs(-math.log(share[one]) - expected), 9), one))
    kept: list[int] = []
    for symbol in by_distance:
        if math.fsum(share[one] for one in kept) >= p:
            break
        kept.append(symbol)
    return only(kept, logits)


def eta(logits: list[float], ids: list[int], e: float) -> list[float]:
    least = min(e, math.sqrt(e) * math.exp(-entropy(logits)))
    share = probabilities(logits)
    return only([one for one in range(len(logits)) if share[one] >= least or share[one] == max(share)], logits)


def surprise(logits: list[float], ids: list[int], target: float) -> list[float]:
    share = probabilities(logits)
    return only([i for i in range(len(logits)) if -math.log2(share[i]) <= 2 * target or share[i] == max(share)], logits)


def match(logits: list[float], ids: list[int], patterns: tuple[str, ...], *others: object) -> list[float]:
    """The patterns of the tests go on for ever: what begins a match begins one that is short and one that is long."""
    letters = "abcdefghijklmnop"
    written = "".join(letters[one] for one in ids)
    ends = [written + letters[symbol] + more for symbol in range(len(logits)) for more in ("", "a", "ab")]
    found = {text[len(written)] for text in ends if all(re.fullmatch(one, text) for one in patterns)}
    return only([symbol for symbol in range(len(logits)) if letters[symbol] in found], logits)
