"""Tables of counts: what has followed what in a text of integer tokens, and the n-gram models that are made of them.

Grams of every order lie in one trie of sorted keys (`trie`), are counted in NumPy by sorting (`grams`), and become
probabilities by a way of smoothing (`kneser_ney`). Nothing here knows characters, files or networks.
"""

from charrnn.models.counts.grams import Grams
from charrnn.models.counts.kneser_ney import KneserNey

__all__ = ["Grams", "KneserNey"]
