"""Forked children deliver at their end, whoever ends them; what one could not deliver its parent counts."""

import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pytest

from causeline.schemas import wire
from causeline.schemas.registry import Schemas
from causeline.schemas.wire.batch_file import read_batches
from tests.unit.producers.emitter.test_processes import run

RECIPE = """
import multiprocessing as mp
import os, signal, sys
from concurrent.futures import ProcessPoolExecutor
from causeline import Tracer

tracer = Tracer(project="children")

def work(number):
    with tracer.run("child", labels={"n": str(number)}) as run, run.tool("work"):
        pass

def own_tracer(number):
    with Tracer(project="children").run("child", labels={"n": str(number)}) as run, run.tool("work"):
        pass

def exits(number):
    work(number)
    sys.exit(0)
"""

WAYS = {
    "processes": """
        for n in range(COUNT):
            child = context.Process(target=work, args=(n,))
            child.start()
            child.join()
            assert child.exitcode == 0
        """,
    "processes that exit": """
        children = [context.Process(target=exits, args=(n,)) for n in range(COUNT)]
        for child in children:
            child.start()
        for child in children:
            child.join()
        """,
    "a pool with children of one task": """
        with context.Pool(2, maxtasksperchild=1) as pool:
            pool.map(work, range(COUNT), chunksize=1)
            pool.close()
            pool.join()
        """,
    "a pool of an executor": """
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(work, range(COUNT)))
        """,
    "a tracer that the child makes": """
        with ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(own_tracer, range(COUNT)))
        """,
}


def recorded(file: Path) -> Counter[str]:
    """How many events of each type the processes that shared a file have written, each counted once."""
    events = [
        record
        for value in read_batches(file)
        for record in wire.decode_items(wire.read_block(value, "trace-batch", Schemas()))
    ]
    assert len({record["event_id"] for record in events}) == len(events)
    return Counter(str(record["event_type"]) for record in events)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_deliver_all_at_their_end(tmp_path: Path, method: str, way: str) -> None:
    script, file = tmp_path / "script.py", tmp_path / "trace"
    count = 10 if method == "fork" else 4  # by the others each child is an interpreter that imports everything anew
    main = f"""
if __name__ == "__main__":
    context = mp.get_context({method!r})
    COUNT = {count}
    work("of the parent")
    tracer.flush(60)
{textwrap.indent(textwrap.dedent(WAYS[way]), "    ")}
    assert tracer.stats().lost_in_children == 0, tracer.stats()
"""
    script.write_text(RECIPE + main)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", script],
        env={
            "CAUSELINE_TRACE_FILE": str(file),
            "CAUSELINE_EMITTER_BATCH_AGE_S": "20",
            "CAUSELINE_EMITTER_CLOSE_TIMEOUT_S": "60",
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert recorded(file) == dict.fromkeys(("run_started", "step_finished", "run_finished"), count + 1)


def test_what_a_child_that_was_killed_had_not_delivered_its_parent_counts_and_says(tmp_path: Path) -> None:
    done, _ = run(
        """
        import logging, os, signal
        logging.basicConfig(level=logging.WARNING)
        from causeline import Tracer

        tracer = Tracer("p")
        def child(end):
            pid = os.fork()
            if pid == 0:
                with tracer.run("first"):
                    pass
                assert not tracer.flush(60)
                with tracer.run("invoice") as run, run.tool("t"):
                    end()
            os.waitpid(pid, 0)

        child(lambda: os.kill(os.getpid(), signal.SIGKILL))
        assert tracer.stats().lost_in_children == 1, "the start of the run; the first run is delivered"
        child(lambda: os._exit(0))
        assert tracer.stats().lost_in_children == 2
        child(lambda: (tracer.flush(60), os._exit(0)))
        assert tracer.stats().lost_in_children == 2
        """,
        CAUSELINE_TRACE_FILE=str(tmp_path / "trace"),
        CAUSELINE_EMITTER_BATCH_AGE_S="20",
    )
    assert done.returncode == 0, done.stderr
    assert "2 events of forked children were lost" in done.stderr
    assert "docs/deploying-emitters.md" in done.stderr


def test_many_children_one_after_the_other_are_all_counted(tmp_path: Path) -> None:
    """More than there are slots: one that is free again is used again."""
    done, _ = run(
        """
        import os
        from causeline.producers.emitter import children

        children._SLOTS = 8
        counted = children.Children()
        for _ in range(50):
            counted.before_fork()
            pid = os.fork()
            if pid == 0:
                tally = counted.in_child()
                tally.offer(), tally.offer(), tally.keep(1)
                os._exit(0)
            os.waitpid(pid, 0)
        assert counted.lost() == 50, counted.lost()
        for _ in range(20):
            counted.before_fork()
        assert counted.in_child() is None, "none is free while nobody is known to be gone"
        """
    )
    assert done.returncode == 0, done.stderr
