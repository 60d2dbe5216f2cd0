"""Whole numbers in as few bytes as they need: seven bits a byte, the lowest first, the eighth set if more follow."""


def written_number(number: int) -> bytes:
    """The bytes of a number that is not negative."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def read_number(data: memoryview) -> tuple[int, memoryview]:
    """The number at the beginning, and what stands behind it. Raises ValueError where there is none."""
    number = 0
    for place, byte in enumerate(data[:10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, data[place + 1 :]
    raise ValueError("no number")
