"""What every test may rely on: the settings of one test, or of the shell it runs in, are none of another's."""

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Each test begins without `CAUSELINE_…` variables and leaves the environment as it found it.

    Those that choose what is tested (`CAUSELINE_TEST_…`, `CAUSELINE_FAULTS_…`, `CAUSELINE_CACHE_DIR`) stay.
    """
    before = dict(os.environ)
    for name in before:
        if name.startswith("CAUSELINE_") and not name.startswith(
            ("CAUSELINE_TEST_", "CAUSELINE_FAULTS_", "CAUSELINE_CACHE_")
        ):
            del os.environ[name]
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
