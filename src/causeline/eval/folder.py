"""A folder of cases: one file each, named by its id."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from causeline.eval.case import EvalCase, as_yaml, read_case
from causeline.eval.export import merged
from causeline.schemas.errors import NotFound, UsageError

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A file, and the case in it; `problem` says why there is none."""

    file: Path
    case: EvalCase | None
    problem: str | None = None


def case_files(folder: Path) -> list[CaseFile]:
    """The files of a folder and those in it, by path; raises UsageError where there is no such folder.

    A file that is no case, and one whose id another has, says so in place of a case.
    """
    if folder.is_file():
        files = [folder]
    elif folder.is_dir():
        files = sorted(file for suffix in _SUFFIXES for file in folder.rglob(f"*{suffix}"))
    else:
        raise UsageError(f"There is no folder {folder}.", hint="causeline eval export --to FOLDER makes one.")
    found: list[CaseFile] = []
    seen: dict[str, Path] = {}
    for file in files:
        try:
            case = read_case(file)
        except UsageError as error:
            found.append(CaseFile(file, None, error.message))
            continue
        first = seen.setdefault(case.id, file)
        problem = None if first == file else f"{file}: its id {case.id} is that of {first} too."
        found.append(CaseFile(file, case if problem is None else None, problem))
    return found


def case_by_id(folder: Path, text: str) -> CaseFile:
    """The case whose id is `text` or begins with it; raises NotFound."""
    found = [each for each in case_files(folder) if each.case is not None and each.case.id.startswith(text)]
    exact = [each for each in found if each.case is not None and each.case.id == text]
    if len(exact or found) != 1:
        word = "Several cases begin" if found else "No case begins"
        raise NotFound(f"{word} with {text[:80]} in {folder}.", hint="causeline eval list has them.")
    return (exact or found)[0]


def keep(folder: Path, cases: Iterable[EvalCase]) -> dict[str, str]:
    """Write cases, those that are there merged with their runs; by id `new`, `more runs` or `same`."""
    folder.mkdir(parents=True, exist_ok=True)
    there = {each.case.id: each.file for each in case_files(folder) if each.case is not None}
    answers: dict[str, str] = {}
    for case in cases:
        # People may call a file and its folder what they like: its id is what makes it the same case.
        file = there.setdefault(case.id, folder / f"{case.id}.yaml")
        known = read_case(file) if file.exists() else None
        text = as_yaml(case if known is None else merged(known, case))
        if known is None:
            answers[case.id] = "new"
        elif text == as_yaml(known):
            answers.setdefault(case.id, "same")
            continue
        else:
            answers[case.id] = answers.get(case.id, "more runs")
        file.write_text(text, "utf-8")
    return answers
