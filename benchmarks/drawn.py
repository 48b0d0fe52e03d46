"""The figures of ingredients.py as a picture: what each ingredient does, and what averaging networks does.

python benchmarks/drawn.py [results/ingredients.json] [-o docs/pictures/ingredients.svg]
"""

from __future__ import annotations

import argparse
import json
from html import escape
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LEFT, MIDDLE, RIGHT, TOP, ROW = 190, 520, 860, 64, 34
STYLE = (
    "text{font:14px sans-serif;fill:#222}.small{font-size:12px;fill:#555}.grid{stroke:#ddd}.zero{stroke:#555}"
    ".bar{stroke:#1f5fa8;stroke-width:3}.dot{fill:#1f5fa8}.way{fill:none;stroke:#1f5fa8;stroke-width:2}"
)


def drawn(result: dict[str, Any]) -> str:
    """An SVG: left the differences with their intervals, right the accuracy of one to all networks averaged."""
    gains = result["against_the_whole"] | {
        f"{len(result['averaged'])} networks averaged": result["all_against_their_mean"]
    }
    height = TOP + ROW * len(gains) + 50
    pieces = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 900 {height}" role="img">',
        f'<title>Ingredients of AlexNet\'s recipe</title><style>{STYLE}</style><rect width="900" height="{height}" '
        'fill="#fff"/>',
        _text(16, 24, "Test accuracy against the whole recipe, in points"),
        _text(16, 42, "with 95 % intervals over seeds and test images", "small"),
        *_differences(gains, height - 40),
    ]
    pieces += [_text(MIDDLE + 60, 24, "Networks of the whole recipe, averaged"), *_averages(result, height - 40)]
    return "\n".join([*pieces, "</svg>"]) + "\n"


def _differences(gains: dict[str, Any], bottom: int) -> list[str]:
    low = min(0.0, *(each["from"] for each in gains.values()))
    high = max(0.0, *(each["to"] for each in gains.values()))

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (MIDDLE - LEFT - 30)

    pieces = []
    for value in _ticks(100 * low, 100 * high):
        kind = "zero" if value == 0 else "grid"
        pieces.append(_line(x(value / 100), TOP - 10, x(value / 100), bottom, kind))
        pieces.append(_text(x(value / 100), bottom + 18, f"{value:+g}" if value else "0", "small", "middle"))
    for place, (name, gain) in enumerate(gains.items()):
        y = TOP + 8 + ROW * place
        pieces.append(_text(16, y + 5, name))
        pieces.append(_line(x(gain["from"]), y, x(gain["to"]), y, "bar"))
        pieces.append(f'<circle cx="{x(gain["gain"]):.1f}" cy="{y}" r="5" class="dot"/>')
    return pieces


def _averages(result: dict[str, Any], bottom: int) -> list[str]:
    averaged, left, top = [100 * each for each in result["averaged"]], MIDDLE + 60, TOP - 10
    low, high = min(averaged) - 0.2, max(averaged) + 0.2

    def x(count: float) -> float:
        return left + (count - 1) / max(1, len(averaged) - 1) * (RIGHT - left)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * (bottom - top)

    pieces = []
    for value in _ticks(low, high):
        pieces.append(_line(left, y(value), RIGHT, y(value), "grid"))
        pieces.append(_text(left - 8, y(value) + 4, f"{value:g} %", "small", "end"))
    way = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in enumerate(averaged, 1))
    pieces.append(f'<polyline points="{way}" class="way"/>')
    for count, value in enumerate(averaged, 1):
        pieces.append(f'<circle cx="{x(count):.1f}" cy="{y(value):.1f}" r="4" class="dot"/>')
        pieces.append(_text(x(count), bottom + 18, str(count), "small", "middle"))
    return pieces


def _ticks(low: float, high: float) -> list[float]:
    step = next(size for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if (high - low) / size <= 8)
    first, last = int(-(-low // step)), int(high // step)
    return [round(n * step, 1) for n in range(first, last + 1)]


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def main() -> None:
    """Draw the last result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, nargs="?", default=HERE / "results" / "ingredients.json")
    parser.add_argument("-o", type=Path, default=HERE.parent / "docs" / "pictures" / "ingredients.svg")
    arguments = parser.parse_args()
    arguments.o.write_text(drawn(json.loads(arguments.result.read_text(encoding="utf-8"))), encoding="utf-8")
    print("written:", arguments.o)


if __name__ == "__main__":
    main()
