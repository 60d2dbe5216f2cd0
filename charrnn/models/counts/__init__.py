"""Tables of counts: what has followed what in a text of integer tokens, and the models that are made of them.

Grams of every order lie in one trie of sorted keys (`trie`), are counted in NumPy by sorting (`grams`), and become
probabilities by a way of smoothing (`table`, `kneser_ney`), beside them words (`words`). Several such `experts`, packed
level by level (`level`), and a network become one model by a `mixture` whose weights a gate chooses, place by place;
`fitting` finds that gate. Nothing here knows characters, files or networks.
"""

from charrnn.models.counts.experts import Experts
from charrnn.models.counts.grams import Grams
from charrnn.models.counts.kneser_ney import KneserNey

__all__ = ["Experts", "Grams", "KneserNey"]
