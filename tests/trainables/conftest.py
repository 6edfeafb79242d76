from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# A first call imports parts of torch, which takes longer than any deadline per example.
settings.register_profile("no-deadline", deadline=None)
settings.load_profile("no-deadline")


@pytest.fixture(autouse=True, scope="session")
def single_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
