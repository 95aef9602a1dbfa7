"""Every committed input is tried again by its target: inputs that once made a difference, and the named bad ones."""

import pytest

from tests.fuzz import block_reader, policy_loader, wire_decoder
from tests.fuzz.driver import CORPUS

TARGETS = {"block_reader": block_reader, "policy_loader": policy_loader, "wire_decoder": wire_decoder}
INPUTS = [(path.parent.name, path.name) for path in sorted(CORPUS.glob("*/*"))]


@pytest.mark.parametrize(("target", "name"), INPUTS)
def test_a_committed_input_is_no_finding(target: str, name: str) -> None:
    TARGETS[target].try_bytes((CORPUS / target / name).read_bytes())


@pytest.mark.parametrize("target", TARGETS)
def test_there_is_a_small_corpus_for_each_target(target: str) -> None:
    sizes = [path.stat().st_size for path in (CORPUS / target).iterdir()]
    assert 8 <= len(sizes) <= 200
    assert sum(sizes) < 512 * 1024
