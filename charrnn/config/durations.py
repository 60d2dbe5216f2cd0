"""Spans of time as people write them: 90s, 10m, 1h30m."""

import math
import re

from charrnn.errors import ConfigError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(text: str | float) -> float:
    """'1h30m' -> 5400.0 seconds; a number is seconds already. Raises ConfigError on what is no time above zero."""
    seconds: float = 0
    if isinstance(text, str):
        if re.fullmatch(r"(\d+(\.\d+)?[smh])+", text):
            seconds = sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smh])", text))
    elif isinstance(text, int | float) and not isinstance(text, bool):
        seconds = text
    if not 0 < seconds < math.inf:
        raise ConfigError(f"{text!r} is no time: write it as 90s, 10m or 1h30m")
    return seconds


def format_duration(seconds: float) -> str:
    """90 -> '1m30s'"""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest}s" if rest or whole < 60 else ""]
    return "".join(parts)
