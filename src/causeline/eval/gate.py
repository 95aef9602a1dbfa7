"""The gate: every case is answered, checked, and held against what a release before it did."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from causeline.diagnosis import diagnose
from causeline.eval.attempt import Answered, Assemble, Target, attempt
from causeline.eval.case import EvalCase
from causeline.eval.checks import CAUSE, Check, checks
from causeline.eval.folder import CaseFile
from causeline.eval.output_schema import read_schema
from causeline.schemas.errors import CauselineError, UsageError
from causeline.schemas.policy import DEFAULT_POLICY, Policy


class Status(StrEnum):
    """What became of a case."""

    PASSED = "passed"
    FAILED = "failed"  # it was answered, and a check did not hold
    STALE = "stale"  # its input or its schema is not what it was
    ERROR = "error"  # it could not be read, or not be answered


@dataclass(frozen=True, slots=True)
class Result:
    """One case's result; `problem` says why it was not answered, `attempts` how often it was tried."""

    case_id: str
    workflow: str
    status: Status
    checks: tuple[Check, ...] = ()
    problem: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    run_id: str | None = None
    flaky: bool = False
    known: bool = False
    """It failed in the baseline too."""
    batches: tuple[bytes, ...] = ()
    project: str | None = None
    """Of the run that answered."""

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """What did not hold."""
        return tuple(check for check in self.checks if not check.passed)

    @property
    def boundary(self) -> str | None:
        """Where it went wrong: of its failed checks the cause, else the first that names a boundary."""
        named = [check for check in self.failed_checks if check.boundary is not None]
        return next((check.boundary for check in named if check.name == CAUSE), named[0].boundary if named else None)

    @property
    def says(self) -> str:
        """Why it is not passed, the cause before what follows from it; empty when it is."""
        return self.problem or "; ".join(
            check.says for check in sorted(self.failed_checks, key=lambda check: check.name != CAUSE)
        )


@dataclass(frozen=True, slots=True)
class Gate:
    """How cases are answered. `resolve` says whether a reference can be read, None where nobody knows."""

    target: Target
    assemble: Assemble
    policy: Policy = DEFAULT_POLICY
    jobs: int = 2
    timeout_s: float = 60.0
    retries: int = 0
    environment: Mapping[str, str] | None = None
    resolve: Callable[[str], bool] | None = None
    tell: Callable[[str, float], None] = field(default=lambda _stage, _share: None)

    def run(self, files: Sequence[CaseFile]) -> list[Result]:
        """A result for each file, in their order."""
        results: list[Result] = []
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="eval") as pool:
            for number, result in enumerate(pool.map(self._one, files), 1):
                results.append(result)
                self.tell("answering cases", number / len(files))
        return results

    def _one(self, file: CaseFile) -> Result:
        if file.case is None:
            return Result(file.file.stem, "", Status.ERROR, problem=file.problem)
        case = file.case
        try:
            if (stale := staleness(case, file.file.parent, self.resolve)) is not None:
                return Result(case.id, case.workflow, Status.STALE, problem=stale)
            schema = read_schema(case, file.file.parent)
        except CauselineError as error:
            return Result(case.id, case.workflow, Status.ERROR, problem=error.message)
        tried: list[Result] = []
        while len(tried) <= self.retries and not (tried and tried[-1].status is Status.PASSED):
            tried.append(self._try(case, schema))
        last = tried[-1]
        flaky = last.status is Status.PASSED and len(tried) > 1
        return replace(last, attempts=len(tried), seconds=sum(each.seconds for each in tried), flaky=flaky)

    def _try(self, case: EvalCase, schema: Mapping[str, Any] | None) -> Result:
        try:
            answered = attempt(case, self.target, self.assemble, timeout_s=self.timeout_s, environment=self.environment)
            return self._judged(case, answered, schema)
        except CauselineError as error:
            return Result(case.id, case.workflow, Status.ERROR, problem=error.message)

    def _judged(self, case: EvalCase, answered: Answered, schema: Mapping[str, Any] | None) -> Result:
        run = answered.run
        if run is None or answered.problem is not None:
            return Result(
                case.id,
                case.workflow,
                Status.ERROR,
                problem=answered.problem,
                seconds=answered.seconds,
                run_id=run.run_id if run else None,
                batches=answered.batches,
                project=run.project if run else None,
            )
        held = checks(case, run, answered.answer, diagnose(run, self.policy), schema)
        passed = all(check.passed for check in held)
        return Result(
            case.id,
            case.workflow,
            Status.PASSED if passed else Status.FAILED,
            checks=tuple(held),
            seconds=answered.seconds,
            run_id=run.run_id,
            batches=answered.batches,
            project=run.project,
        )


def judged_otherwise(files: Sequence[CaseFile], policy: Policy) -> int:
    """How many cases come from runs that another policy judged: what they expect may not be what `policy` finds."""
    hashes = [file.case.policy_hash for file in files if file.case is not None]
    return sum(each is not None and each != policy.content_hash for each in hashes)


def staleness(case: EvalCase, folder: Path, resolve: Callable[[str], bool] | None) -> str | None:
    """Why a case is no longer what it was, or None: such a case is never passed. Raises what `resolve` raises."""
    wanted = case.expect.output_schema
    if wanted is not None:
        file = folder / wanted.file
        if not file.exists():
            return f"Its schema {wanted.file} is missing."
        if hashlib.sha256(file.read_bytes()).hexdigest() != wanted.sha256:
            return f"Its schema {wanted.file} has changed."
    if resolve is not None and not resolve(case.input_ref):
        return "Its input is not in the store that CAUSELINE_ARTIFACTS names."
    return None


# --- the verdict


def against(results: Sequence[Result], baseline: Mapping[str, str]) -> list[Result]:
    """The results, those that failed in the baseline too marked as known."""
    bad = {case_id for case_id, status in baseline.items() if status != Status.PASSED}
    return [replace(result, known=result.status is not Status.PASSED and result.case_id in bad) for result in results]


def exit_code(results: Sequence[Result], *, fail_on_known: bool) -> int:
    """0 where all passed, 1 where one failed that counts, 2 where one could not be answered."""
    counted = [result for result in results if fail_on_known or not result.known]
    if any(result.status is Status.FAILED for result in counted):
        return 1
    return 2 if not results or any(result.status in (Status.ERROR, Status.STALE) for result in counted) else 0


def flake_rate(results: Sequence[Result]) -> float:
    """The share of answered cases that passed only on a later try."""
    answered = [result for result in results if result.status in (Status.PASSED, Status.FAILED)]
    return sum(result.flaky for result in answered) / len(answered) if answered else 0.0


def read_baseline(file: Path) -> dict[str, str]:
    """The statuses of a gate before, by case id; raises UsageError."""
    try:
        said = json.loads(file.read_text("utf-8"))
        return {str(each["case_id"]): str(each["status"]) for each in said["results"]}
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise UsageError(
            f"{file} is no result of a gate.", hint="causeline eval gate … --json > FILE writes one."
        ) from None
