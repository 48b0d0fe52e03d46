"""Text -> network: the notation of architectures, their arithmetic, their tables and the modules built from them.

Read in this order: `shapes` (volumes and the one sum), `sliding`, `layers` and `blocks` (a description a layer),
`architecture` (the walk through them), `grammar`, `lines`, `phrases` and `notation` (text to value), `listing` (value
to text), `table` and `drawing` (for people), `zoo` (the published networks), `build` (torch; not imported here).
"""

from mirada.arch.architecture import Architecture, Row
from mirada.arch.lines import parse_volume
from mirada.arch.listing import format_listing
from mirada.arch.notation import parse
from mirada.arch.shapes import Pair, Volume

__all__ = ["Architecture", "Pair", "Row", "Volume", "format_listing", "parse", "parse_volume"]
