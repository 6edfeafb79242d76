"""Values that the two papers print, and their match with measured trials."""

from analysis.published.matching_values import (
    compute_published_gap,
    find_published_values,
    simplify_norm_label,
)
from analysis.published.paper_protocol import (
    PaperProtocol,
    describe_protocol_differences,
    read_paper_protocol,
)
from analysis.published.printed_values import (
    PUBLISHED_FILE,
    PublishedValue,
    list_published_values,
    make_table3_results,
)

__all__ = [
    "PUBLISHED_FILE",
    "PaperProtocol",
    "PublishedValue",
    "compute_published_gap",
    "describe_protocol_differences",
    "find_published_values",
    "list_published_values",
    "make_table3_results",
    "read_paper_protocol",
    "simplify_norm_label",
]
