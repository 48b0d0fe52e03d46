"""Text -> network: the notation of architectures, their arithmetic, their tables and the modules built from them.

Read in this order: `shapes` (volumes and the one sum), `sliding`, `layers` and `blocks` (a description a layer),
`architecture` (the walk through them), `grammar`, `lines`, `phrases` and `notation` (text to value), `listing` (value
to text), `table` and `drawing` (for people), `zoo` (the published networks), `build` (torch; not imported here).
"""

from typing import TYPE_CHECKING

from mirada.lazy import loaded_when_used

if TYPE_CHECKING:
    from mirada.arch.architecture import Architecture, Row
    from mirada.arch.lines import parse_volume
    from mirada.arch.listing import format_listing
    from mirada.arch.notation import parse
    from mirada.arch.shapes import Pair, Volume

__all__ = ["Architecture", "Pair", "Row", "Volume", "format_listing", "parse", "parse_volume"]

# A backbone that predicts needs no listing.
_HOMES = {
    "Architecture": "mirada.arch.architecture",
    "Row": "mirada.arch.architecture",
    "parse_volume": "mirada.arch.lines",
    "format_listing": "mirada.arch.listing",
    "parse": "mirada.arch.notation",
    "Pair": "mirada.arch.shapes",
    "Volume": "mirada.arch.shapes",
}
if not TYPE_CHECKING:  # which would take any name for one of this package
    __getattr__ = loaded_when_used(__name__, _HOMES)
