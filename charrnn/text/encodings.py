"""What a text that is not UTF-8 may be written in: advice from the look of its bytes."""

import codecs
from functools import partial

SAMPLE = 1 << 16
SHOWN = 24

# Python's codecs, the likeliest first where several read the same, and what iconv calls them.
ENCODINGS = {
    "cp1252": "WINDOWS-1252",
    "cp1250": "WINDOWS-1250",
    "cp1251": "WINDOWS-1251",
    "gb18030": "GB18030",
    "big5": "BIG5",
    "cp932": "CP932",
    "euc_jp": "EUC-JP",
    "cp949": "CP949",
    "koi8_r": "KOI8-R",
    "cp866": "CP866",
    "iso8859_2": "ISO-8859-2",
    "iso8859_5": "ISO-8859-5",
    "cp1253": "WINDOWS-1253",
    "cp1254": "WINDOWS-1254",
    "cp1255": "WINDOWS-1255",
    "cp1256": "WINDOWS-1256",
    "cp1257": "WINDOWS-1257",
}
# UTF-32 first: its mark begins with that of UTF-16.
MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
# Below this, the letters are not those of any language's texts: a guess would be no better than chance.
LEAST_COHERENCE = 0.15
MULTIBYTE = {"gb18030", "big5", "cp932", "euc_jp", "cp949"}
JAPANESE = ("cp932", "euc_jp")
LEAST_KANA = 0.2
MOSTLY = 0.3


def utf16(data: bytes) -> str | None:
    """The name of UTF-16 or UTF-32, if a text that begins so is written in it: by its mark, or by Latin letters."""
    for mark, name in MARKS.items():
        if data.startswith(mark):
            return name
    even, odd = data[:SAMPLE:2], data[1:SAMPLE:2]
    for zeros, others, name in ((odd, even, "UTF-16LE"), (even, odd, "UTF-16BE")):
        if len(zeros) > 1 and zeros.count(0) > 0.7 * len(zeros) and not others.count(0):
            return name
    return None


def advice(data: bytes, fault: int) -> str:
    """What to do about bytes that are no UTF-8 from `fault` on: how they read in the encoding that they look like."""
    if mark := utf16(data):
        return f"it is {mark}: convert it first, for example with iconv -f {mark} -t UTF-8"
    # From the beginning of a line, which no encoding here puts inside a character.
    first = max(data.rfind(b"\n", 0, fault) + 1, fault - SAMPLE // 2)
    sample = data[first : first + SAMPLE]
    codec = likeliest(sample)
    if codec is None:
        return "convert it to UTF-8 first; a model with `tokenizer='byte'` takes any bytes"
    name = ENCODINGS[codec]
    before = len(data[first:fault].decode(codec, "replace"))
    read = sample.decode(codec, "replace")[max(0, before - SHOWN // 2) :][:SHOWN]
    return f"in {name} it reads {' '.join(read.split())!r}: if that is right, convert it with iconv -f {name} -t UTF-8"


def likeliest(sample: bytes) -> str | None:
    """The codec of `ENCODINGS` that these bytes look written in; None when none stands out."""
    if (codec := next(filter(partial(_japanese, sample), JAPANESE), None)) is not None:
        return codec
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=list(ENCODINGS))
    best = found.best()
    wide = sum(byte > 0x7F for byte in sample) > MOSTLY * len(sample)
    if best is None or (best.coherence < LEAST_COHERENCE and not (wide and best.encoding in MULTIBYTE)):
        return None
    tied = best.encoding in MULTIBYTE  # in so few characters chance decides between Korean and Chinese
    equals = [one for one in found if tied and (one.chaos, one.coherence) == (best.chaos, best.coherence)] or [best]
    alike = {codec for one in equals for codec in (one.encoding, *one.could_be_from_charset)}
    return next((codec for codec in ENCODINGS if codec in alike), None)


def _japanese(sample: bytes, codec: str) -> bool:
    """Whether there is kana, as in all Japanese and, by chance, in nothing: short texts are taken for Korean else."""
    wide = [character for character in sample.decode(codec, "replace") if character > "\x7f"]
    kana = sum("\N{HIRAGANA LETTER SMALL A}" <= character <= "\N{KATAKANA LETTER SMALL KE}" for character in wide)
    return kana > LEAST_KANA * len(wide) and wide.count("\N{REPLACEMENT CHARACTER}") < 0.05 * len(wide)


def zeros_told(block: bytes) -> str:
    """What is said of zero bytes, which no text holds."""
    if name := utf16(block):
        return f"is {name}, not UTF-8: convert it first, for example with iconv -f {name} -t UTF-8"
    return "holds zero bytes, as binary data do and no text: a model with `tokenizer='byte'` takes any bytes"


def utf8(text: str) -> bytes:
    """UTF-8; one byte for each that was read as a lone surrogate, three for any other half of a pair."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogatepass")
