"""The zoo's figures: how often the first cause is the planted one, by form, by fault and by workflow."""

import argparse
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from benchmarks.harness import Report
from benchmarks.zoo.halves import workflows
from benchmarks.zoo.judging import FIGURES, Tally, judged, tally
from benchmarks.zoo.plan import QUICK, Sizes
from benchmarks.zoo.protocol import Form, Workflow
from benchmarks.zoo.recorded import record
from causeline.schemas.errors import UsageError

SEEDS = (20261, 20262, 20263)


def measure(options: argparse.Namespace) -> Report:
    """Judge one half of the zoo; with --seed one seed in place of three."""
    found = [each for each in workflows(options.zoo) if options.workflow in (None, each.name)]
    if not found:
        raise UsageError(f"There is no half {options.zoo!r} of the zoo here.", hint="benchmarks/zoo says what one is.")
    sizes = QUICK if options.quick else Sizes()
    seeds = [options.seed] if options.seed is not None else SEEDS
    forms = [Form(options.form)] if options.form else list(Form)
    jobs = [
        (options.zoo, each.name, form, seed, sizes, options.show) for each in found for form in forms for seed in seeds
    ]
    with ProcessPoolExecutor(options.jobs) as pool:
        parts = list(pool.map(_one, jobs))
    return _report(options.zoo, found, [(job, part) for job, part in zip(jobs, parts, strict=True)])


_Job = tuple[str, str, Form, int, Sizes, bool]
_Part = tuple[Tally, Tally | None]


def _one(job: _Job) -> _Part:
    half, name, form, seed, sizes, show = job
    workflow = next(each for each in workflows(half) if each.name == name)
    recorded = record(half, workflow, form, seed, sizes)
    alone = tally(judged(recorded, own_policy=False), show=show)
    return alone, tally(judged(recorded, own_policy=True))


def _report(half: str, found: list[Workflow], parts: list[tuple[_Job, _Part]]) -> Report:
    report = Report(f"why --zoo {half}")
    for form, figure in FIGURES.items():
        of_form = [part for job, part in parts if job[2] is form]
        if of_form:
            report.rows[figure] = _share(alone for alone, _ in of_form)
            report.rows[f"{figure}_own_policy"] = _share(own for _, own in of_form if own is not None)
    everything = [alone for _, (alone, _) in parts]
    own = [each for _, (_, each) in parts if each is not None]
    right = sum(sum(each.right.values()) for each in everything)
    report.rows["fix_names_thing"] = round(sum(sum(each.named.values()) for each in everything) / max(1, right), 4)
    clean = sum(each.clean for each in everything)
    report.rows["clean_first_line"] = round(sum(each.clean_blamed for each in everything) / max(1, clean), 4)
    report.rows["clean_failed"] = round(sum(each.clean_failed for each in everything) / max(1, clean), 4)
    report.rows["clean_first_line_own_policy"] = round(
        sum(each.clean_blamed for each in own) / max(1, sum(each.clean for each in own)), 4
    )
    report.rows["own_policy_delta"] = round(_share(own) - _share(everything), 4)
    report.rows["faulty_runs"] = float(sum(each.total.total() for each in everything))
    report.rows["clean_runs"] = float(clean)
    report.rows["workflows"] = float(len(found))
    report.extra["by_fault"] = {
        form.value: _by_key([alone for job, (alone, _) in parts if job[2] is form], whole=True) for form in FIGURES
    }
    report.extra["by_workflow"] = {
        form.value: _by_key([alone for job, (alone, _) in parts if job[2] is form], whole=False) for form in FIGURES
    }
    report.extra["by_rule"] = _by_rule([(job[1], alone) for job, (alone, _) in parts])
    report.notes += [
        f"{rule}: {', '.join(f'{name} {gain:+d} of {runs}' for name, (gain, runs) in sorted(each.items()))}"
        for rule, each in report.extra["by_rule"].items()  # type: ignore[attr-defined]
    ]
    return report


def _by_rule(parts: list[tuple[str, Tally]]) -> dict[str, dict[str, tuple[int, int]]]:
    """What each rule is worth in each workflow: runs right by it, less those that were right without it; runs it heads.

    A rule that gains in one workflow alone, and loses or does nothing in the others, was written for that one.
    """
    found: dict[str, dict[str, tuple[int, int]]] = {}
    for workflow, each in parts:
        for rule, counts in each.heads.items():
            gain, runs = found.setdefault(rule, {}).get(workflow, (0, 0))
            found[rule][workflow] = (gain + counts["with"] - counts["without"], runs + counts["runs"])
    return dict(sorted(found.items()))


def _share(tallies: Iterable[Tally]) -> float:
    each = list(tallies)
    total = sum(one.total.total() for one in each)
    return round(sum(sum(one.right.values()) for one in each) / max(1, total), 4)


def _by_key(tallies: list[Tally], *, whole: bool) -> dict[str, float]:
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for each in tallies:
        for key, count in each.total.items():
            name = key if whole else key.partition("/")[0]
            total[name] += count
            right[name] += each.right[key]
    return {name: round(right[name] / total[name], 3) for name in sorted(total)}
