"""Runs that are kept, in bounds."""

from causeline.console.run_cache import RunCache
from causeline.schemas.run import Run, Step


def run(name: str, steps: int) -> Run:
    return Run(run_id=name, steps=tuple(Step(step_id=str(at)) for at in range(steps)))


def test_the_runs_not_asked_for_longest_make_room() -> None:
    cache = RunCache(max_steps=30)
    for name in ("a", "b", "c"):
        cache.put("1", run(name, 8))
    assert cache.get("a") is not None

    cache.put("1", run("d", 8))

    assert [name for name in "abcd" if cache.get(name)] == ["a", "c", "d"]


def test_a_newer_text_of_a_run_replaces_the_older_and_frees_its_room() -> None:
    cache = RunCache(max_steps=20)
    for digest in ("1", "2", "3"):
        cache.put(digest, run("a", 15))

    kept = cache.get("a")
    assert kept is not None
    assert kept[0] == "3"


def test_a_run_that_fills_all_the_room_is_not_kept_and_pushes_nobody_out() -> None:
    cache = RunCache(max_steps=20)
    cache.put("1", run("a", 5))
    cache.put("1", run("big", 50))

    assert cache.get("big") is None
    assert cache.get("a") is not None
