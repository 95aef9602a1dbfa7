"""How often a costly property is tried: a quarter of its examples in `make test`, all in `make faults`.

    @given(…)
    @tried(150)
    def test_…

`CAUSELINE_TEST_EXAMPLES=all pytest -m properties` tries all.
"""

import os
from collections.abc import Callable
from typing import Final, TypeVar

import pytest
from hypothesis import settings

Test = TypeVar("Test", bound=Callable[..., object])
_ARE_ALL: Final = os.environ.get("CAUSELINE_TEST_EXAMPLES") == "all"
_FEWEST: Final = 10


def tried(examples: int) -> Callable[[Test], Test]:
    """Marks a property that is tried with so many examples where all are."""

    def marked(test: Test) -> Test:
        count = examples if _ARE_ALL else max(_FEWEST, examples // 4)
        limited: Test = pytest.mark.properties(settings(max_examples=count)(test))
        return limited

    return marked
