"""The pytest plugin for tests of executors: the fixture `no_network`, and nothing for those who do not ask for it.

For all tests of a project, `usefixtures = no_network` stands among pytest's settings.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def no_network() -> Iterator[list[str]]:
    """No test reaches beyond this machine; yields what it attempted, to be emptied by a test that means to."""
    # Loaded for those who ask for it: pytest loads this module in every project that has the kit installed.
    from executor_sdk.testing.network import no_network as forbidden

    with forbidden() as attempts:
        yield attempts
