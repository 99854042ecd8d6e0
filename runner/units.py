"""Durations, sizes and signals as people write them. Pure."""

from __future__ import annotations

import re

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
# Compiled when they are used: most commands read no duration.
_DURATION = r"(\d+(?:\.\d+)?)\s*(ms|sec|s|min|m|h|d|w)"
_SIZE_UNITS = {"": 1, "b": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4}
_SIZE_UNITS |= {f"{unit}b": factor for unit, factor in _SIZE_UNITS.items() if unit not in ("", "b")}
_SIZE_UNITS |= {f"{unit}ib": 1024**power for power, unit in enumerate("kmgt", 1)}
_SIZE = r"(\d+(?:\.\d+)?)\s*([a-z]*)"

_LONGEST = 10 * 365.25 * 86400.0  # beyond it a number is a mistake, and sums of times leave what a clock can say
DURATION_FORM = "a duration such as `15m`, `90s`, `1h30m` or `none`"
SIZE_FORM = "a size such as `64KiB`, `10MB` or `none`"


def parse_duration(value: str | float | None) -> float | None:
    """Seconds, ten years at most; None for `none`. A bare number counts seconds. Raises ValueError."""
    if value is None or value == "none":
        return None
    text = str(value).strip().lower()  # a boolean fits no form
    try:
        seconds = float(text) if re.fullmatch(r"\d+(\.\d+)?", text) else _sum_of_parts(text)
    except ValueError:
        raise ValueError(f"expected {DURATION_FORM}, got `{value}`") from None
    if seconds > _LONGEST:
        raise ValueError(f"expected at most ten years, or `none`, got `{value}`")
    return seconds


def _sum_of_parts(text: str) -> float:
    seconds, position = 0.0, 0
    for part in re.finditer(_DURATION, text):
        if text[position : part.start()].strip():
            break
        seconds += float(part[1]) * _DURATION_UNITS[part[2]]
        position = part.end()
    if position == 0 or text[position:].strip():
        raise ValueError(text)
    return seconds


def parse_size(value: str | float | None) -> int | None:
    """Bytes; None for `none`. `k`, `kB` are 1000, `KiB` is 1024. Raises ValueError."""
    if value is None or value == "none":
        return None
    found = re.fullmatch(_SIZE, str(value).strip().lower())
    if found is None or found[2] not in _SIZE_UNITS:
        raise ValueError(f"expected {SIZE_FORM}, got `{value}`")
    return int(float(found[1]) * _SIZE_UNITS[found[2]])


def format_duration(seconds: float) -> str:
    """`850ms`, `12.3s`, `15m00s`, `2h05m`."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def is_too_long(value: str | float) -> bool:
    """Whether it has the form of a duration, and is longer than one may be."""
    try:
        parse_duration(value)
    except ValueError as error:
        return "ten years" in str(error)
    return False


def format_count(number: int) -> str:
    return f"{number:,}"


def signal_name(number: int) -> str:
    """`SIGTERM`; a number without a name as `signal 40`."""
    import signal  # noqa: PLC0415 - two milliseconds of import, which most commands do not need

    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
