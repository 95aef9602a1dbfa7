"""Any file is a policy, or is refused with its lines; a policy that is read judges and is the same when read again."""

import sys

from causeline.schemas.judge import judge
from causeline.schemas.policy_file import InvalidPolicy, parse_policy
from tests.fuzz.driver import fuzz


def try_bytes(data: bytes) -> None:
    """The bytes as the text of a policy file."""
    try:
        policy = parse_policy(data.decode("utf-8", "surrogateescape"))
    except InvalidPolicy as error:
        _require(told=bool(error.problems) and all(str(problem) for problem in error.problems))
        return
    assert parse_policy(data.decode("utf-8", "surrogateescape")).content_hash == policy.content_hash
    standard = policy.rules("invoice").standard("$.total")
    judge(required=True, score=0.5, evidence_refs=["a"], conflicting_refs=[], attempts=0, standard=standard)


def _require(*, told: bool) -> None:
    assert told, "refused without saying why"


if __name__ == "__main__":
    sys.exit(fuzz("policy_loader"))
