"""Power against the size of a move, drawn as SVG without any library."""

from collections.abc import Sequence

Curve = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT, _LEFT, _TOP, _RIGHT, _BOTTOM = 640, 360, 60, 30, 20, 50


def power_plot(many: Curve, one: Curve) -> str:
    """Both curves over the same axes: points of a share across, how often it is found upwards."""
    most = max(effect for effect, _ in many)

    def place(effect: float, share: float) -> tuple[float, float]:
        across = _LEFT + effect / most * (_WIDTH - _LEFT - _RIGHT)
        return round(across, 1), round(_HEIGHT - _BOTTOM - share * (_HEIGHT - _TOP - _BOTTOM), 1)

    def line(curve: Curve, colour: str, dashes: str) -> str:
        points = " ".join(f"{x},{y}" for x, y in (place(*point) for point in curve))
        dots = "".join(
            f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in (place(*point) for point in curve)
        )
        return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>{dots}'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-size="12">',
        f'<rect width="{_WIDTH}" hmany="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="18" font-size="14">How often a move is found in its first window of 2,000 runs</text>',
    ]
    for tenths in range(0, 11, 2):
        x, y = place(0, tenths / 10)
        parts.append(f'<line x1="{x}" y1="{y}" x2="{_WIDTH - _RIGHT}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{tenths * 10} %</text>')
    for effect, _ in many:
        x, y = place(effect, 0)
        parts.append(f'<text x="{x}" y="{y + 18}" text-anchor="middle">{effect * 100:g}</text>')
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{_HEIGHT - 10}" text-anchor="middle">move of one route, in points</text>')
    parts.append(line(one, "#888888", ' stroke-dasharray="5 4"'))
    parts.append(line(many, "#0b6e4f", ""))
    x, y = place(most, 0.12)
    parts.append(f'<text x="{x}" y="{y}" text-anchor="end" fill="#0b6e4f">against the 24 windows before</text>')
    parts.append(f'<text x="{x}" y="{y + 16}" text-anchor="end" fill="#666">against one window before (dashed)</text>')
    return "\n".join([*parts, "</svg>\n"])
