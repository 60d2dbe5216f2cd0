"""Windows: every token is read and predicted, in order, whatever the batch; documents come whole, once an epoch."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.models.loss import IGNORED
from charrnn.text.part import Part
from charrnn.training.batches import (
    FILES,
    FRESH,
    SORTED_GROUPS,
    Batch,
    ContinuousStreams,
    DocumentStreams,
    Streams,
    fit,
    open_streams,
    paragraph_break,
)

from .cases import each

START = 5000


def continuous(
    length: int, *, batch_size: int = 1, bptt: int = 8, seed: int = 0, state_drop: float = 0.0
) -> ContinuousStreams:
    """Streams over the tokens 0, 1, 2, …: each token is its own place in the text."""
    return ContinuousStreams(np.arange(length, dtype=np.uint16), START, batch_size, bptt, seed, state_drop)


def epoch_of(streams: Streams, epoch: int) -> list[Batch]:
    return [streams.window(epoch, index) for index in range(streams.windows(epoch))]


def joined(windows: list[Batch]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    return (
        torch.cat([window.inputs for window in windows], 1).numpy(),
        torch.cat([window.targets for window in windows], 1).numpy(),
    )


def same(one: Batch, other: Batch) -> bool:
    carries = (one.state_rows, other.state_rows)
    alike = carries == (None, None) or (None not in carries and torch.equal(*carries))  # type: ignore[arg-type]
    return torch.equal(one.inputs, other.inputs) and torch.equal(one.targets, other.targets) and alike


@st.composite
def layouts(draw: st.DrawFn) -> tuple[int, int, int]:
    """(N, B, T): tokens, rows, window length."""
    length = draw(st.integers(1, 60))
    return length, draw(st.integers(1, min(length, 9))), draw(st.integers(1, 12))


# One stream


@settings(deadline=None, max_examples=200)
@given(layout=layouts(), seed=st.integers(0, 9), epoch=st.integers(0, 5))
def test_the_windows_of_a_row_put_together_are_its_stretch_of_the_text(
    layout: tuple[int, int, int], seed: int, epoch: int
) -> None:
    length, rows, bptt = layout
    inputs, targets = joined(epoch_of(continuous(length, batch_size=rows, bptt=bptt, seed=seed), epoch))

    row_length = -(-length // rows)
    for row in range(rows):
        first = row * length // rows
        assert targets[row].tolist() == list(range(first, first + row_length))
        # The inputs are the targets, one later, across all window borders.
        assert inputs[row, 1:].tolist() == targets[row, :-1].tolist()
        assert inputs[row, 0] == (first - 1 if first else START)


@settings(deadline=None, max_examples=200)
@given(layout=layouts(), seed=st.integers(0, 9), epoch=st.integers(0, 5))
def test_every_token_is_predicted_in_every_epoch_and_none_more_than_twice(
    layout: tuple[int, int, int], seed: int, epoch: int
) -> None:
    length, rows, bptt = layout
    _, targets = joined(epoch_of(continuous(length, batch_size=rows, bptt=bptt, seed=seed), epoch))
    times = np.bincount(targets.ravel(), minlength=length)
    assert len(times) == length
    assert times.min() >= 1
    assert times.max() <= 2
    assert (times == 2).sum() < rows


@settings(deadline=None, max_examples=100)
@given(layout=layouts(), seed=st.integers(0, 9), epoch=st.integers(0, 5))
def test_only_the_first_and_the_last_window_are_shorter_than_bptt(
    layout: tuple[int, int, int], seed: int, epoch: int
) -> None:
    length, rows, bptt = layout
    widths = [w.inputs.shape[1] for w in epoch_of(continuous(length, batch_size=rows, bptt=bptt, seed=seed), epoch)]
    assert all(1 <= width <= bptt for width in widths)
    assert set(widths[1:-1]) <= {bptt}


def test_the_first_window_takes_every_length_up_to_bptt() -> None:
    streams = continuous(100, bptt=4)
    assert {streams.window(epoch, 0).inputs.shape[1] for epoch in range(100)} == {1, 2, 3, 4}


def test_the_first_window_is_no_longer_than_a_row() -> None:
    streams = continuous(9, batch_size=3, bptt=50)
    assert {streams.window(epoch, 0).inputs.shape[1] for epoch in range(100)} == {1, 2, 3}


def test_another_seed_puts_the_borders_elsewhere() -> None:
    firsts = [[continuous(100, bptt=30, seed=s).window(e, 0).inputs.shape[1] for e in range(9)] for s in range(5)]
    assert len(set(map(tuple, firsts))) == 5


@each("state_drop", [0.0, 0.3])
def test_a_window_depends_on_seed_epoch_and_index_alone(state_drop: float) -> None:
    def fresh() -> ContinuousStreams:
        return continuous(101, batch_size=4, bptt=5, seed=3, state_drop=state_drop)

    used = fresh()
    places = [(epoch, index) for epoch in range(3) for index in range(used.windows(epoch))]
    forwards = [used.window(*place) for place in places]
    backwards = [used.window(*place) for place in reversed(places)][::-1]
    alone = [fresh().window(*place) for place in places]
    assert all(same(a, b) and same(a, c) for a, b, c in zip(forwards, backwards, alone, strict=True))


def test_a_window_may_be_changed_without_changing_the_text() -> None:
    streams = continuous(20, batch_size=2)
    window = streams.window(0, 0)
    window.inputs.zero_()
    window.targets.zero_()
    assert streams.window(0, 0).targets[0, 0] == 0
    assert streams.window(0, 0).targets[1, 0] == 10
    assert streams.window(0, 0).inputs[0, 0] == START


def test_ids_are_int64_and_the_start_id_may_lie_beyond_the_type_of_the_tokens() -> None:
    window = ContinuousStreams(np.full(4, 255, np.uint8), 256, 1, 4, 0, 0.0).window(0, 0)
    assert window.inputs.dtype == window.targets.dtype == torch.int64
    assert window.inputs[0, 0] == 256


# What a row carries


def test_the_very_first_window_begins_with_fresh_states() -> None:
    carry = continuous(30, batch_size=3).window(0, 0).state_rows
    assert carry is not None
    assert carry.tolist() == [FRESH] * 3


@each("epoch", [0, 1, 4])
def test_within_an_epoch_every_row_continues_its_own_state(epoch: int) -> None:
    streams = continuous(30, batch_size=3, bptt=4)
    assert [window.state_rows for window in epoch_of(streams, epoch)[1:]] == [None] * (streams.windows(epoch) - 1)


@each("epoch", [1, 2, 7])
def test_at_a_new_epoch_each_row_takes_over_the_state_of_the_row_before(epoch: int) -> None:
    carry = continuous(30, batch_size=3).window(epoch, 0).state_rows
    assert carry is not None
    assert carry.tolist() == [FRESH, 0, 1]


@settings(deadline=None, max_examples=100)
@given(layout=layouts(), seed=st.integers(0, 9))
def test_the_state_taken_over_has_just_read_what_stands_in_front(layout: tuple[int, int, int], seed: int) -> None:
    length, rows, bptt = layout
    streams = continuous(length, batch_size=rows, bptt=bptt, seed=seed)
    inputs, _ = joined(epoch_of(streams, 0))
    window = streams.window(1, 0)
    assert window.state_rows is not None
    for row, before in enumerate(window.state_rows.tolist()):
        if before == FRESH:
            assert window.inputs[row, 0] == START
        elif row * length // rows == 1:
            assert inputs[before, -1] in (START, 0)
        else:
            # Rows that overlap by a token read the border twice.
            assert int(window.inputs[row, 0] - inputs[before, -1]) in ({1} if length % rows == 0 else {0, 1})


def test_a_row_that_is_dropped_begins_from_nothing_and_half_of_the_time_from_the_start_id() -> None:
    rows, bptt = 40, 5
    plain = continuous(8000, batch_size=rows, bptt=bptt, seed=1)
    dropping = continuous(8000, batch_size=rows, bptt=bptt, seed=1, state_drop=0.3)
    dropped_rows = started = total = 0
    for epoch in (0, 1):
        assert plain.windows(epoch) == dropping.windows(epoch)
        for index in range(plain.windows(epoch)):
            kept, window = plain.window(epoch, index), dropping.window(epoch, index)
            own = torch.arange(rows) if kept.state_rows is None else kept.state_rows
            carry = own if window.state_rows is None else window.state_rows
            dropped = carry != own
            assert torch.equal(window.targets, kept.targets)
            assert torch.equal(window.inputs[:, 1:], kept.inputs[:, 1:])
            assert torch.equal(window.inputs[~dropped & (own != FRESH), 0], kept.inputs[~dropped & (own != FRESH), 0])
            assert bool((carry[dropped] == FRESH).all())
            changed = window.inputs[dropped, 0] != kept.inputs[dropped, 0]
            assert bool((window.inputs[dropped, 0][changed] == START).all())
            if index:
                dropped_rows += int(dropped.sum())
                started += int(changed.sum())
                total += rows
    assert dropped_rows / total == pytest.approx(0.3, abs=0.03)
    assert started / dropped_rows == pytest.approx(0.5, abs=0.05)


def test_at_a_new_epoch_rows_are_dropped_as_well() -> None:
    streams = continuous(400, batch_size=50, state_drop=0.5)
    carry = streams.window(1, 0).state_rows
    assert carry is not None
    own = torch.arange(50) - 1
    assert bool(((carry == own) | (carry == FRESH)).all())
    assert 10 < int((carry == FRESH).sum()) < 40


def test_with_certain_loss_no_row_carries_anything() -> None:
    streams = continuous(60, batch_size=3, bptt=4, state_drop=1.0)
    for epoch in (0, 1):
        for window in epoch_of(streams, epoch):
            assert window.state_rows is not None
            assert window.state_rows.tolist() == [FRESH] * 3


# Small texts


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(length=st.integers(1, 300), batch_size=st.integers(1, 64), bptt=st.integers(1, 128))
def test_a_fitted_batch_fills_its_windows_and_is_never_larger_than_asked(
    length: int, batch_size: int, bptt: int
) -> None:
    part = Part(np.zeros(length, np.uint8), length)
    rows, steps = fit(part, batch_size=batch_size, bptt=bptt)

    assert 1 <= rows <= batch_size
    assert 1 <= steps <= bptt
    assert rows * steps <= length
    if batch_size * bptt <= length // 2:
        assert (rows, steps) == (batch_size, bptt)
    _, targets = joined(epoch_of(ContinuousStreams(part.tokens, 1, rows, steps, 0, 0.0), 0))
    assert targets.shape == (rows, -(-length // rows))


@each(
    "length, expected",
    [
        (1, (1, 1)),
        (2, (2, 1)),
        (3, (3, 1)),
        (10, (2, 5)),
        (127, (2, 63)),
        (128, (2, 64)),
        (640, (10, 64)),
        (9999, (32, 64)),
    ],
)
def test_tiny_texts_get_short_windows_and_few_rows(length: int, expected: tuple[int, int]) -> None:
    assert fit(Part(np.zeros(length, np.uint8), length), batch_size=32, bptt=64) == expected


@each("documents, rows", [(1, 1), (5, 5), (32, 32), (100, 32)])
def test_documents_are_never_fewer_than_rows(documents: int, rows: int) -> None:
    part = Part(np.zeros(2 * documents, np.uint8), documents, np.arange(documents) * 2)
    assert fit(part, batch_size=32, bptt=64) == (rows, 64)


def shuffled(files: list[int], length: int, **options: int) -> Streams:
    part = Part(np.arange(length, dtype=np.uint16), length, files=tuple(files))
    return open_streams(part, start_id=START, bptt=8, shuffle=True, **options)


@settings(deadline=None, max_examples=100)
@given(
    sizes=st.lists(st.integers(1, 20), min_size=2, max_size=6), rows=st.integers(1, 5), seed=st.integers(0, 9)
)  # fmt: skip
def test_an_epoch_reads_whole_files_in_an_order_of_its_own(sizes: list[int], rows: int, seed: int) -> None:
    files, length = [sum(sizes[:number]) for number in range(len(sizes))], sum(sizes)
    rows = min(rows, length)
    streams = shuffled(files, length, batch_size=rows, seed=seed)
    for epoch in range(3):
        windows = epoch_of(streams, epoch)
        inputs, targets = joined(windows)
        # The slow twin: the order drawn, the files put one behind another, each row a stretch of that.
        order = np.random.default_rng([seed, epoch, FILES]).permutation(len(sizes))
        text = [place for number in order for place in range(files[number], files[number] + sizes[number])]
        for row in range(rows):
            first = row * length // rows
            assert targets[row].tolist() == text[first : first + -(-length // rows)]
            assert inputs[row].tolist() == [text[first - 1] if first else START, *targets[row, :-1].tolist()]
        assert windows[0].state_rows is not None and (windows[0].state_rows == FRESH).all()
        # Any window at once, as a run that goes on reads it.
        again = shuffled(files, length, batch_size=rows, seed=seed)
        assert same(again.window(epoch, len(windows) - 1), windows[-1])


def test_so_many_epochs_of_shuffled_files_read_each_token_so_many_times() -> None:
    streams = shuffled([0, 50, 110, 230], 240, batch_size=8, seed=3)
    read = [joined(epoch_of(streams, epoch))[1] for epoch in range(3)]
    assert (np.bincount(np.concatenate(read, 1).ravel()) == 3).all()
    assert not np.array_equal(read[0], read[1]) and not np.array_equal(read[1], read[2])


def test_a_text_read_from_its_end_knows_its_files() -> None:
    mirrored = Part(np.arange(10, dtype=np.uint8), 10, files=(0, 3, 4)).reversed(START)
    assert mirrored.files == (0, 6, 7) and mirrored.tokens[6] == 3


# Documents


def document_part(lengths: list[int]) -> Part:
    """Documents whose tokens are their places in the whole; no two tokens are alike."""
    starts = np.cumsum([0, *lengths[:-1]], dtype=np.int64)
    return Part(np.arange(sum(lengths), dtype=np.uint16), sum(lengths), starts)


def documents_of(part: Part) -> list[list[int]]:
    assert part.starts is not None
    return [piece.tolist() for piece in np.split(part.tokens.astype(np.int64), part.starts[1:])]


def document_streams(part: Part, *, batch_size: int, bptt: int, seed: int = 0) -> DocumentStreams:
    assert part.starts is not None
    return DocumentStreams(part.tokens, part.starts, START, batch_size, bptt, seed)


def groups_of(windows: list[Batch]) -> list[list[Batch]]:
    """The windows of each group of documents: a group begins where all rows are fresh."""
    groups: list[list[Batch]] = []
    for window in windows:
        if window.state_rows is None:
            groups[-1].append(window)
        else:
            assert window.state_rows.tolist() == [FRESH] * len(window.state_rows)
            groups.append([window])
    return groups


LENGTHS = st.lists(st.integers(2, 15), min_size=1, max_size=40)


@settings(deadline=None, max_examples=150)
@given(
    lengths=LENGTHS, rows=st.integers(1, 6), bptt=st.integers(1, 16), seed=st.integers(0, 9), epoch=st.integers(0, 3)
)
def test_each_document_comes_exactly_once_an_epoch_from_start_to_end(
    lengths: list[int], rows: int, bptt: int, seed: int, epoch: int
) -> None:
    part = document_part(lengths)
    found: list[list[int]] = []
    for group in groups_of(epoch_of(document_streams(part, batch_size=rows, bptt=bptt, seed=seed), epoch)):
        inputs, targets = joined(group)
        assert targets.shape[0] == rows
        for row in range(rows):
            inside = targets[row] != IGNORED
            length = int(inside.sum())
            # Padding stands behind a document, never in it; it is not predicted, and its input is the start id.
            assert inside[:length].all()
            document = targets[row, :length].tolist()
            last = document[-1:]
            behind = inputs[row, length:].tolist()
            if length:
                assert inputs[row, :length].tolist() == [START, *document[:-1]]
                assert behind[:1] in (last, [])
                assert set(behind[1:]) <= {START}
                found.append(document)
            else:
                assert set(behind) == {START}
    assert sorted(found) == documents_of(part)


def test_a_document_longer_than_the_window_goes_on_with_its_state() -> None:
    part = document_part([10])
    windows = epoch_of(document_streams(part, batch_size=1, bptt=4), 0)
    assert [window.inputs.tolist() for window in windows] == [[[START, 0, 1, 2]], [[3, 4, 5, 6]], [[7, 8]]]
    assert [window.targets.tolist() for window in windows] == [[[0, 1, 2, 3]], [[4, 5, 6, 7]], [[8, 9]]]
    assert windows[0].state_rows is not None
    assert [window.state_rows for window in windows[1:]] == [None, None]


def test_rows_without_a_document_are_padding() -> None:
    window = document_streams(document_part([3]), batch_size=3, bptt=8).window(0, 0)
    assert window.inputs.tolist() == [[START, 0, 1], [START] * 3, [START] * 3]
    assert window.targets.tolist() == [[0, 1, 2], [IGNORED] * 3, [IGNORED] * 3]


def test_documents_of_about_the_same_length_are_read_together() -> None:
    rows = 4
    lengths = np.random.default_rng(0).permutation(np.arange(2, 2 + rows * SORTED_GROUPS)).tolist()
    ranges = []
    for group in groups_of(epoch_of(document_streams(document_part(lengths), batch_size=rows, bptt=500), 0)):
        found = (joined(group)[1] != IGNORED).sum(1)
        ranges.append((int(found.min()), int(found.max())))
    assert len(ranges) == SORTED_GROUPS
    assert all(high - low == rows - 1 for low, high in ranges)
    # Not the short ones first, though.
    assert ranges != sorted(ranges)


def test_every_epoch_groups_the_documents_anew() -> None:
    streams = document_streams(document_part([5] * 60), batch_size=4, bptt=8)
    groups = [{frozenset(window.targets[:, 0].tolist()) for window in epoch_of(streams, epoch)} for epoch in range(3)]
    assert groups[0] != groups[1] != groups[2] != groups[0]


def test_a_window_of_documents_depends_on_seed_epoch_and_index_alone() -> None:
    part = document_part([3, 9, 4, 4, 12, 2, 7, 7, 5])
    used = document_streams(part, batch_size=2, bptt=3, seed=5)
    places = [(epoch, index) for epoch in range(3) for index in range(used.windows(epoch))]
    shuffled = sorted(places, key=lambda place: (place[1], place[0]))
    for place in shuffled:
        assert same(used.window(*place), document_streams(part, batch_size=2, bptt=3, seed=5).window(*place))
    other = [document_streams(part, batch_size=2, bptt=3, seed=6).window(*place) for place in places[:3]]
    assert not all(same(used.window(*place), window) for place, window in zip(places, other, strict=False))


def test_what_a_part_is_decides_how_it_is_read() -> None:
    documents, stream = document_part([4, 4]), Part(np.arange(8, dtype=np.uint8), 8)
    opened = [
        open_streams(part, start_id=START, batch_size=2, bptt=3, seed=4, state_drop=1.0) for part in (documents, stream)
    ]
    assert isinstance(opened[0], DocumentStreams)
    assert isinstance(opened[1], ContinuousStreams)
    assert same(opened[0].window(1, 0), document_streams(documents, batch_size=2, bptt=3, seed=4).window(1, 0))
    expected = ContinuousStreams(stream.tokens, START, 2, 3, 4, 1.0)
    assert same(opened[1].window(1, 0), expected.window(1, 0))
    assert [(streams.batch_size, streams.bptt) for streams in opened] == [(2, 3), (2, 3)]


# -- a stream begins anew where a paragraph does ----------------------------------------------------------------------


@each("text, expected", [("ab\n\nc\nd", (2, 2)), ("ab\nc\nd", (2,)), ("abcd", None), ("\n", (2,))])
def test_a_paragraph_opens_after_two_newlines_or_one_where_there_are_no_two(
    text: str, expected: tuple[int, ...] | None
) -> None:
    tokens = np.array(["ab\ncd".index(character) for character in text], np.uint8)
    assert paragraph_break(tokens, 2) == expected


def test_rows_begin_from_the_start_id_exactly_where_a_paragraph_opens() -> None:
    tokens = np.random.default_rng(3).integers(0, 3, 500).astype(np.uint8)  # 2 is the newline
    streams = open_streams(Part(tokens, 500), start_id=9, batch_size=4, bptt=3, seed=1, newline=2)
    outcomes = []
    begin = 0
    for index in range(streams.windows(0)):
        window = streams.window(0, index)
        for row in range(4):
            place = 125 * row + begin
            opens = place == 0 or tokens[max(0, place - 2) : place].tolist() == [2, 2]
            fresh = index == 0 or (window.state_rows is not None and int(window.state_rows[row]) == FRESH)
            assert (int(window.inputs[row, 0]) == 9) == opens
            assert fresh == (opens or index == 0)
            outcomes.append(opens)
        begin += window.targets.shape[1]
    assert 10 < sum(outcomes) < len(outcomes) - 10
