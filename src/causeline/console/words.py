"""Numbers and moments as people read them."""

from datetime import UTC, datetime


def duration(micros: int | None) -> str:
    """A span of microseconds: `830 µs`, `1.24 s`, `3 min 05 s`; empty for none."""
    if micros is None:
        return ""
    size = abs(micros)
    if size < 1_000:
        text = f"{size} µs"
    elif size < 999_500:
        text = f"{size / 1_000:.3g} ms"
    elif size < 59_995_000:
        text = f"{size / 1_000_000:.2f} s"
    else:
        minutes, seconds = divmod(size // 1_000_000, 60)
        text = f"{minutes} min {seconds:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"
    return f"-{text}" if micros < 0 else text


def moment(when: datetime | None) -> str:
    """`2026-01-31 08:00:00.123 UTC`; empty for none."""
    if when is None:
        return ""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{when.microsecond // 1000:03d} UTC"


def dollars(amount: float | None) -> str:
    """`$0.0123`: to the cent where there are dollars, else to four figures; empty for none."""
    if amount is None:
        return ""
    return f"${amount:,.2f}" if abs(amount) >= 1 or amount == 0 else f"${amount:.4g}"


def number(value: float | None) -> str:
    """A number without needless digits; empty for none."""
    if value is None:
        return ""
    return f"{value:,d}" if isinstance(value, int) else f"{value:.4g}"


def count(how_many: int, one: str, several: str | None = None) -> str:
    """`1 event`, `2 events`."""
    return f"{how_many:,d} {one if how_many == 1 else several or one + 's'}"


def listed(items: list[str] | tuple[str, ...], most: int = 8) -> str:
    """`a, b and c`; past `most` the rest is counted."""
    if len(items) > most:
        return f"{', '.join(items[:most])} and {len(items) - most:,d} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} and {items[-1]}"
