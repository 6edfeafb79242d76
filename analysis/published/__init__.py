"""What the two papers print, and how measured trials stand to it."""

from analysis.published.matching import matching, printed_gap, printed_norm
from analysis.published.printed import SOURCE, Published, figures, table3
from analysis.published.protocol import Protocol, protocol, protocol_lines

__all__ = [
    "SOURCE",
    "Protocol",
    "Published",
    "figures",
    "matching",
    "printed_gap",
    "printed_norm",
    "protocol",
    "protocol_lines",
    "table3",
]
