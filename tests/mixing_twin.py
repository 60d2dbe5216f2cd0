"""Context mixing once more, slowly: tables without hashes or checks, contexts found anew from the whole text before."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from charrnn.inference.mixing import tables
from charrnn.text.letters import Spelling

ONE, INPUTS, NETWORK = 65536, 208, 201
STRETCH, SQUASH, LOGARITHMS = tables.stretch().tolist(), tables.squash().tolist(), tables.logarithms().tolist()
HISTORIES, NEXT = tables.histories()
BEGINNING, CERTAIN = tables.beginning().tolist(), tables.certain().tolist()
MASK = (1 << 64) - 1
OTHER, LINE_END, SMALL, CAPITAL = range(4)
Weights = npt.NDArray[np.int64]


def hashed(a: int, b: int) -> int:
    h = ((a + 0x9E3779B97F4A7C15) * 0xBF58476D1CE4E5B9 ^ (b + 1) * 0x94D049BB133111EB) & MASK
    h = (h ^ h >> 31) * 0xD6E8FEB86659FD93 & MASK
    return h ^ h >> 32


def clamped(value: int, most: int) -> int:
    return max(-most, min(value, most))


def p_of(odds: int) -> int:
    return int(SQUASH[clamped(odds, 3071) + 3072])


def odds_of(p: int) -> int:
    return int(STRETCH[p >> 4])


def approached(p: int, bit: int) -> int:
    return p + (65535 - p >> 6) if bit else p - (p >> 6)


def dot(weights: Weights, x: Weights) -> int:
    return int(((weights >> 4) * x >> 4).sum())


def learn(weights: Weights, x: Weights, error: int) -> None:
    weights[:] = np.clip(weights + (x * error + 8192 >> 14), -(8 * ONE - 1), 8 * ONE - 1)


@dataclass
class Counter:
    p: int = ONE // 2
    history: int = 0
    met: int = 0

    def count(self, bit: int, most: int) -> None:
        self.p += (bit * ONE - bit - self.p) * (2 * ONE // (2 * self.met + 3)) >> 16
        self.history = int(NEXT[self.history, bit])
        self.met = min(self.met + 1, max(most, self.met))


@dataclass
class Block:
    last: int = 0
    in_a_row: int = 0
    counters: dict[int, Counter] = field(default_factory=lambda: defaultdict(Counter))


class Tree:
    def __init__(self, children: npt.NDArray[np.int32], symbols: int) -> None:
        self.children = children.tolist()
        self.paths: dict[int, list[tuple[int, int]]] = {0: []} if symbols == 1 else {}
        self.tops: dict[int, int] = {}
        if symbols > 1:
            self._walk(0, [])

    def _walk(self, node: int, above: list[tuple[int, int]]) -> None:
        self.tops[node] = node if len(above) % 3 == 0 else self.tops[above[-1][0]]
        for bit, child in enumerate(self.children[node]):
            path = [*above, (node, bit)]
            if child < 0:
                self.paths[~child] = path
            else:
                self._walk(child, path)

    def expected(self, symbol: int | None, node: int) -> int | None:
        """By which bit the symbol leaves the node; None where it does not come by."""
        return dict(self.paths.get(-1 if symbol is None else symbol, [])).get(node)


class Twin:
    """Reads symbols one after another."""

    def __init__(self, children: npt.NDArray[np.int32], symbols: int, spelling: Spelling, lately: int) -> None:
        self.tree, self.symbols = Tree(children, symbols), symbols
        self.letters, self.newline, self.opens = spelling.letters.tolist(), spelling.newline, spelling.opens
        self.lately = lately
        self.text: list[int] = []  # since the document began
        self.all: list[int] = [symbols]
        self.after: dict[Any, int] = defaultdict(int)
        self.blocks: dict[Any, Block] = {}
        self.singles: dict[Any, int] = {}
        self.histories = defaultdict[Any, list[int]](lambda: list(BEGINNING))
        self.rows = defaultdict[Any, list[int]](lambda: [ONE // 4, ONE * 3 // 4])
        self.weights = defaultdict[Any, Weights](lambda: np.full(INPUTS, ONE // 20))
        self.last_weights = defaultdict[Any, Weights](lambda: np.full(16, ONE // 10))
        self.corrections = defaultdict[Any, list[int]](lambda: [p_of((i - 16) * 128) for i in range(33)])
        self.matches = [[0, 0] for _ in range(3)]  # where each goes on, and how long it is
        self.met_before: list[dict[Any, int]] = [{} for _ in range(3)]
        self.learned, self.joined = 0, False

    # -- contexts

    def kind(self, symbol: int) -> int:
        if symbol == self.newline:
            return LINE_END
        if symbol >= self.symbols or self.letters[symbol] < 0:
            return OTHER
        return SMALL if self.letters[symbol] == symbol else CAPITAL

    def lines_of(self, text: list[int]) -> list[list[int]]:
        """The lines, the last of which is being read."""
        lines: list[list[int]] = [[]]
        for symbol in text:
            lines[-1].append(symbol)
            if symbol == self.newline:
                lines.append([])
        return lines

    def words_of(self, text: list[int]) -> list[list[int]]:
        """The words, the last of which is being read, and may be none yet."""
        words: list[list[int]] = [[]]
        for symbol in text:
            if self.kind(symbol) in (SMALL, CAPITAL):
                if words[-1] and self.opens is not None and self.opens[symbol]:
                    words.append([])
                words[-1].append(symbol)
            elif words[-1]:
                words.append([])
        return words

    def hash_of(self, word: list[int]) -> int:
        h = 0
        for symbol in word:
            h = hashed(h, self.letters[symbol])
        return h

    def contexts(self) -> list[Any]:
        text, lines = self.text, self.lines_of(self.text)
        s = [*reversed(text), *[self.symbols] * 24]
        folded = [tuple(self.letters[symbol] for symbol in word) for word in self.words_of(text)]
        word, *before = [*reversed(folded), (), (), ()][:4]
        self.word = self.words_of(text)[-1]
        kinds = [kind if (kind := self.kind(symbol)) else 4 + symbol for symbol in s[: len(text)]]
        runs = [one for i, one in enumerate(kinds) if one > CAPITAL or i + 1 == len(kinds) or kinds[i + 1] != one]
        runs = [*runs, *[0] * 7][:7]
        here = [tuple(self.letters[symbol] for symbol in one) for one in self.words_of(lines[-1])]
        first = next(iter(here), ())
        speaker: tuple[int, ...] = ()
        read: list[int] = []
        for line in lines[:-1]:
            read += line
            known = [tuple(self.letters[symbol] for symbol in one) for one in self.words_of(read)]
            speaker = () if len(line) == 1 else speaker or [(), *known][-2]
        self.column = len(lines[-1])
        column = min(self.column, 255)
        above = (lines[-2] if len(lines) > 1 else [])[column : column + 1] or [self.symbols]
        capital = next((self.kind(one[0]) == CAPITAL for one in reversed(self.words_of(text)) if one), False)
        length, words, lately = len(word), len(here) - 1, len(self.all) >> self.lately
        after, after_two = self.after[s[0]], self.after[s[0], s[1]]
        return [
            *(tuple(s[:order]) for order in (0, 1, 2, 3, 4, 5, 6, 7, 9, 12)),
            (word, s[0]), (word, s[0], before[0]), (word, s[0], before[0], before[1]), (word, s[0], before[1]),
            (s[1], s[2]), (s[1], s[2], s[3]), (first, word), (above[0], s[0], column), (above[0], s[0], s[1]),
            (after, s[0]), (after_two, s[0]), (after_two & 0xFFFF, s[0], s[1]), (speaker, word, before[0]),
            (s[0], s[2], length), (speaker, *s[:3]), (word, before[2]),
            tuple(kind if (kind := self.kind(symbol)) else 4 + symbol for symbol in s[:12]), (*runs, s[0]),
            (before[0], s[0], s[1]), (length, s[0], speaker), (column, s[0]), (length, column, words),
            (word, s[0], words), (word, s[0], capital), (speaker, word),
            (*s[:3], lately), (*s[:5], lately), (word, s[0], lately), (word, lately),
        ]  # fmt: skip

    def find_matches(self) -> None:
        for match, before, shortest in zip(self.matches, self.met_before, (20, 12, 6), strict=True):
            key = tuple([*[self.symbols] * shortest, *self.text][-shortest:])
            place = before.get(key, 0)
            if not match[0] and place:
                length, here = 0, len(self.all)
                while length < min(40, place) and self.all[place - 1 - length] == self.all[here - 1 - length]:
                    if self.all[place - 1 - length] == self.symbols:
                        break
                    length += 1
                match[:] = [place, length] if length >= shortest else [0, 0]
            before[key] = len(self.all)

    def append(self, symbol: int) -> None:
        for match in self.matches:
            on = match[0] and self.all[match[0]] == symbol
            match[:] = [match[0] + 1, min(match[1] + 1, 40)] if on else [0, 0]
        s = [*reversed(self.text), self.symbols, self.symbols]
        for key in (s[0], (s[0], s[1])):
            self.after[key] = (self.after[key] << 8 | symbol & 255) & 0xFFFFFF
        self.text.append(symbol)
        self.all.append(symbol)

    # -- a symbol

    def read(self, symbol: int, begins: bool, shares: Sequence[int] | None = None) -> float:
        if begins:
            self.text, self.matches = [], [[0, 0] for _ in range(3)]
            self.all.append(self.symbols)
        if symbol >= self.symbols:
            self.append(self.symbols)
            return 1.0
        if shares is not None and not self.joined:
            self.join()
        contexts = [*enumerate(self.contexts())]
        self.find_matches()
        lengths = [match[1] for match in self.matches if match[0]]
        length = lengths[0] if lengths else 0
        self.match = (1 + length // 4 if length < 16 else 5 + (length - 16) // 8 if length < 32 else 7) if length else 0
        self.guess = next((self.all[match[0]] for match in self.matches if match[0]), None)
        self.shares = shares
        likely, new = 1.0, set[int]()
        for depth, (node, bit) in enumerate(self.tree.paths[symbol]):
            if depth % 3 == 0:
                blocks = [*self.find(contexts, node, symbol, new)]
            if depth == 0:
                self.order = max(c if block and block.counters[0].met > 1 else 0 for c, block in enumerate(blocks[:10]))
                self.before = [(block.last, block.in_a_row) if block else (0, 0) for block in blocks]
            likely *= self.code(blocks, node, depth, bit) / ONE
            if depth % 3 == 2 or depth + 1 == len(self.tree.paths[symbol]):
                for block in filter(None, blocks):
                    again = block.in_a_row and block.last == symbol
                    block.last, block.in_a_row = symbol, min(block.in_a_row + 1, 15) if again else 1
        self.append(symbol)
        return likely

    def find(self, contexts: list[Any], node: int, symbol: int, new: set[int]) -> Iterator[Block | None]:
        """The blocks at this node; of a context that was not met before there is none."""
        for key in contexts:
            last = None
            if node == 0 and (key, 0) not in self.blocks:
                last = (self.singles.pop(key), 1) if key in self.singles else None
                if last is None:
                    self.singles[key] = symbol
                    new.add(key[0])
            elif node != 0 and key[0] not in new and (key, node) not in self.blocks:
                last = self.before[key[0]]
            if key[0] in new:
                yield None
                continue
            if last is not None:
                block = self.blocks[key, node] = Block()
                path = self.tree.paths[last[0]] if last[1] else []
                if node in dict(path):
                    block.last, block.in_a_row = last
                for other, bit in path:
                    if self.tree.tops[other] == node:
                        block.counters[other].count(bit, 60)
            yield self.blocks[key, node]

    def code(self, blocks: list[Block | None], node: int, depth: int, bit: int) -> int:
        x, told = np.zeros(INPUTS, np.int64), list[tuple[list[int], int]]()
        for c, block in enumerate(blocks):
            if block is None:
                continue
            if (counter := block.counters[node]).met:
                table = self.histories[c, node]
                p = table[counter.history]
                x[5 * c : 5 * c + 3] = odds_of(counter.p), odds_of(p), p - ONE // 2 >> 6
                x[5 * c + 3] = odds_of(p) if CERTAIN[counter.history] else 0
                told.append((table, counter.history))
            guess = self.tree.expected(block.last, node) if block.in_a_row else None
            if guess is not None:
                row = self.rows["row", c, block.in_a_row]
                x[5 * c + 4] = odds_of(row[guess])
                told.append((row, guess))
        for number, (place, length) in enumerate(self.matches):
            guess = self.tree.expected(self.all[place], node) if place else None
            if guess is not None:
                row = self.rows["match", number, length if length < 16 else 16 + (length - 16) // 2]
                x[195 + 2 * number : 197 + 2 * number] = odds_of(row[guess]), row[guess] - ONE // 2 >> 6
                told.append((row, guess))
        surety = certainty = 0
        if self.shares is not None:
            ones, zeros = self.below(node, 1), self.below(node, 0)
            odds = clamped(logarithm(ones) - logarithm(zeros), 2047)
            x[NETWORK : NETWORK + 2] = odds, p_of(odds) - ONE // 2 >> 6
            certainty = 1 + sum(abs(odds) > limit for limit in (128, 256, 512, 768, 1100, 1500))
            most, total = max(self.shares), sum(self.shares)
            limits = ((1, 8), (1, 4), (1, 2), (3, 4), (9, 10), (49, 50))
            surety = 1 + sum(most * whole > total * part for part, whole in limits)
        x[NETWORK + 2] = 256

        s, level = [*reversed(self.text), *[self.symbols] * 4], min(depth, 3)
        guess = self.tree.expected(self.guess, node)
        expected = 0 if guess is None else 1 + guess
        layout = sum(self.kind(symbol) << 2 * (3 - i) for i, symbol in enumerate(s[:4]))
        rows = [
            node, s[0], s[1], (self.match if expected else 0) * 8 + certainty, min(self.column, 127),
            (self.hash_of(self.word) & 255, level), (self.order, expected, surety), (s[2], level),
            (node, layout), (node, s[0]),
        ]  # fmt: skip
        chosen = [self.weights[row] for row in enumerate(rows)]
        y = np.zeros(16, np.int64)
        y[:10] = [clamped(dot(weights, x) >> 8, 2047) for weights in chosen]
        last = [self.last_weights[key] for key in ((0, node), (1, s[0], self.match), (2, layout, level))]
        answers = [clamped(dot(weights, y) >> 8, 3071) for weights in last]
        odds = clamped(sum(answers) * 21845 >> 16, 2047)
        places = [hashed(s[0], node) & 0xFFFF, hashed(hashed(s[0], s[1]), node) & 0xFFFF]
        curves = [self.corrections[key] for key in enumerate(places)]
        bucket, between = odds + 2048 >> 7, odds + 2048 & 127
        corrected = [curve[bucket] * (128 - between) + curve[bucket + 1] * between >> 7 for curve in curves]
        p = max(1, 2 * p_of(odds) + sum(corrected) >> 2)

        rate = 64 + 320 * ONE // (ONE + self.learned)
        self.learned += 1
        for weights, answer in zip(chosen, y.tolist(), strict=False):
            learn(weights, x, (bit * ONE - p_of(answer)) * rate >> 10)
        for weights, answer in zip(last, answers, strict=True):
            learn(weights, y, bit * ONE - p_of(answer) >> 5)
        told += [(curve, bucket + (between >= 64)) for curve in curves]
        for table, place in told:
            table[place] = approached(table[place], bit)
        for c, block in enumerate(blocks):
            if block is not None:
                block.counters[node].count(bit, 250 if c < 3 else 60)
        return p if bit else ONE - p

    def below(self, node: int, bit: int) -> int:
        """The network's shares of the symbols on one side of a node."""
        assert self.shares is not None
        return sum(self.shares[symbol] for symbol, path in self.tree.paths.items() if (node, bit) in path)

    def join(self) -> None:
        self.joined, self.learned = True, 0

        def joined(weights: Weights) -> Weights:
            weights >>= 1
            weights[NETWORK] = ONE * 25 // 64
            return weights

        for weights in self.weights.values():
            joined(weights)
        self.weights.default_factory = lambda: joined(np.full(INPUTS, ONE // 20))


def logarithm(value: int) -> int:
    doublings = value.bit_length() - 13
    return int(LOGARITHMS[(value >> doublings if doublings > 0 else value << -doublings) - 4096]) + (
        doublings * 45426 >> 8
    )
