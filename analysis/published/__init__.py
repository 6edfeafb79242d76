"""What the two papers print, and how measured trials stand to it."""

from analysis.published.matching_values import matching, printed_gap, printed_norm
from analysis.published.paper_protocol import Protocol, protocol, protocol_lines
from analysis.published.printed_values import SOURCE, Published, figures, table3

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
