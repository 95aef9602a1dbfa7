"""A test for each eval case: `pytest --causeline-cases DIR --causeline-target module:function`.

The same answers and checks as `causeline eval gate`, in the place where an application's other tests are.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from causeline.eval.folder import CaseFile
    from causeline.eval.gate import Gate

_GATE = "_causeline_gate"


class CaseFailed(Exception):
    """A case that was not passed; its text says why."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The plugin's options."""
    group = parser.getgroup("causeline", "Causeline's eval cases")
    group.addoption("--causeline-cases", metavar="DIR", help="Collect a test for each eval case in DIR.")
    group.addoption("--causeline-target", metavar="MODULE:FUNCTION", help="Answers a case: function(case, tracer).")
    group.addoption("--causeline-command", metavar="COMMAND", help="Answers a case, which is JSON on its stdin.")
    group.addoption("--causeline-policy", metavar="FILE", help="The policy to judge by (TOML).")
    group.addoption("--causeline-timeout", type=float, default=60.0, metavar="SECONDS", help="Seconds a case may take.")


def pytest_configure(config: pytest.Config) -> None:
    """Make the gate, once, and have the cases' folder collected."""
    folder = config.getoption("--causeline-cases")
    if folder is None:
        return
    target, command = config.getoption("--causeline-target"), config.getoption("--causeline-command")
    if (target is None) == (command is None):
        raise pytest.UsageError("--causeline-cases needs --causeline-target or --causeline-command, and not both.")
    if not Path(folder).exists():
        raise pytest.UsageError(f"--causeline-cases: there is no {folder}.")
    setattr(config, _GATE, _gate(target, command, config.getoption("--causeline-policy"), _timeout_of(config)))
    if folder not in config.args:
        config.args.append(folder)


def _timeout_of(config: pytest.Config) -> float:
    return float(config.getoption("--causeline-timeout"))


def _gate(target: str | None, command: str | None, policy: str | None, timeout_s: float) -> "Gate":
    from causeline.eval.assembling import assembled  # noqa: PLC0415 - only where cases are collected
    from causeline.eval.attempt import Target  # noqa: PLC0415
    from causeline.eval.gate import Gate  # noqa: PLC0415
    from causeline.schemas.policy import DEFAULT_POLICY  # noqa: PLC0415
    from causeline.schemas.policy_file import read_policy  # noqa: PLC0415

    judging = read_policy(Path(policy)) if policy else DEFAULT_POLICY
    return Gate(
        target=Target(target, command),
        assemble=lambda batches: assembled(batches, judging),
        policy=judging,
        timeout_s=timeout_s,
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """A case's file, where it lies in the folder of cases."""
    folder = parent.config.getoption("--causeline-cases")
    if folder is None or file_path.suffix not in (".yaml", ".yml"):
        return None
    root = Path(folder).resolve()
    if root != file_path.resolve() and root not in file_path.resolve().parents:
        return None
    found: pytest.Collector = CaseModule.from_parent(parent, path=file_path)
    return found


class CaseModule(pytest.File):
    """A case's file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Its one test, named by its file."""
        from causeline.eval.folder import case_files  # noqa: PLC0415 - the console extra

        for each in case_files(self.path):
            yield CaseItem.from_parent(self, name=self.path.stem, case_file=each)


class CaseItem(pytest.Item):
    """One case as a test."""

    def __init__(self, *, case_file: "CaseFile", **known: object) -> None:
        super().__init__(**known)  # type: ignore[arg-type]
        self.case_file = case_file

    def runtest(self) -> None:
        """Answer it; raises CaseFailed unless it is passed."""
        from causeline.eval.gate import Status  # noqa: PLC0415 - the console extra

        gate: Gate = getattr(self.config, _GATE)
        (result,) = gate.run([self.case_file])
        if result.status is not Status.PASSED:
            raise CaseFailed(f"{result.status.value}: {result.says}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:
        """Why, without a traceback: it is the application that failed."""
        if isinstance(excinfo.value, CaseFailed):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands."""
        return self.path, 0, f"case {self.name}"
