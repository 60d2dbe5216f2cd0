"""Advice about texts that are not UTF-8: the command that it tells must bring the text back."""

import re

import pytest

from charrnn.errors import CorpusError
from charrnn.text.encodings import ENCODINGS, advice
from charrnn.text.tokenizers.byte import utf8

from .cases import each
from .test_corpus import converted

TEXTS = {
    "gb18030": "人类的历史，就是一个不断地从必然王国向自由王国发展的历史。这个历史永远不会完结。\n",
    "gbk": "人类的历史，就是一个不断地从必然王国向自由王国发展的历史。这个历史永远不会完结。\n",
    "big5": "子曰：學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？\n",
    "shift_jis": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n",
    "euc_jp": "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所で"
    "ニャーニャー泣いていた事だけは記憶している。\n",
    "euc_kr": "나라의 말이 중국과 달라 한자와는 서로 통하지 아니하므로 어리석은 백성이 말하고자 하는 바가 있어도\n",
    "cp1251": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n",
    "koi8_r": "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.\n",
    "cp1250": "Litwo! Ojczyzno moja! ty jesteś jak zdrowie. Ile cię trzeba cenić, ten tylko się dowie\n",
    "cp1252": "Longtemps, je me suis couché de bonne heure. Parfois, à peine ma bougie éteinte, mes yeux\n",
    "latin_1": "Als Gregor Samsa eines Morgens aus unruhigen Träumen erwachte, fand er sich verwandelt. Über größere\n",
    "cp1253": "Ένα κείμενο που δεν γράφτηκε σε UTF-8, για να δοκιμαστεί η συμβουλή.\n",
    "utf-16": "Once upon a time\n",
    "utf-32": "Once upon a time\n",
}


def told(data: bytes) -> str:
    with pytest.raises(UnicodeDecodeError) as caught:
        data.decode()
    return advice(data, caught.value.start)


@each("codec", TEXTS)
@each("times", [1, 50])
def test_the_command_that_is_told_brings_the_text_back(codec: str, times: int) -> None:
    text = TEXTS[codec] * times
    data = text.encode(codec)
    assert converted(told(data), data) == text


@each("codec", ["gb18030", "shift_jis", "cp1251", "cp1252"])
def test_the_text_is_shown_as_it_would_read_where_its_fault_is(codec: str) -> None:
    data = b"plain\n" * 40_000 + TEXTS[codec].encode(codec)
    shown = re.search(r"it reads '(.*?)'", told(data))
    assert shown and shown[1] in TEXTS[codec].replace("\n", " ") and len(shown[1]) >= 10


@each("data", [b"\xff", b"abc \xff def", b"caf\xe9", bytes(range(128, 256)), b"\x80 " + "é海🙂".encode()])
def test_where_nothing_stands_out_no_encoding_is_named(data: bytes) -> None:
    assert told(data) == "convert it to UTF-8 first; a model with `tokenizer='byte'` takes any bytes"


def test_every_codec_is_one_of_python_and_of_iconv() -> None:
    for codec, name in ENCODINGS.items():
        assert converted(f"iconv -f {name} -t UTF-8", "abc".encode(codec)) == "abc"


def test_half_a_surrogate_pair_is_no_text_of_any_encoding() -> None:
    with pytest.raises(CorpusError, match="half of a surrogate pair"):
        utf8("\ud800", "surrogateescape")
    assert utf8("é\udcff", "surrogateescape") == b"\xc3\xa9\xff"
