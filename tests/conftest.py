"""What every test may rely on: the settings of one test, or of the shell it runs in, are none of another's."""

import os
from collections.abc import Iterator

import pytest

_OF_THE_TESTS = ("CAUSELINE_TEST_", "CAUSELINE_FAULTS_", "CAUSELINE_CACHE_")


@pytest.fixture(autouse=True)
def own_settings() -> Iterator[None]:
    """Each test begins without `CAUSELINE_…` variables or a terminal's width, and leaves the environment as it was.

    Those that choose what is tested (`CAUSELINE_TEST_…`, `CAUSELINE_FAULTS_…`, `CAUSELINE_CACHE_DIR`) stay.
    """
    before = dict(os.environ)
    for name in before:
        own = name.startswith("CAUSELINE_") and not name.startswith(_OF_THE_TESTS)
        if own or name == "COLUMNS":
            del os.environ[name]
    yield
    for name in set(os.environ) - set(before):
        del os.environ[name]
    os.environ.update(before)
