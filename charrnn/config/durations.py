"""Times as people write them, '90s' or '1h30m', and seconds."""

import re

from charrnn.errors import ConfigError

UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def parse_duration(duration: str | float) -> float:
    """'90s', '10m', '1h30m' -> seconds; a number is seconds already. Raises ConfigError on anything else."""
    if not isinstance(duration, str):
        return duration
    if re.fullmatch(r"(\d+(\.\d+)?[smh])+", duration):
        return sum(float(number) * UNITS[unit] for number, unit in re.findall(r"([\d.]+)([smh])", duration))
    raise ConfigError(f"{duration!r} is no time: write it as 90s, 10m or 1h30m")


def format_duration(seconds: float) -> str:
    """90 -> '1m30s'"""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else "", f"{rest}s" if rest or whole < 60 else ""]
    return "".join(parts)
