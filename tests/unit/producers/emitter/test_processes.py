"""Fork and the end of the process: nothing is sent twice, nothing hangs, and what is left is said."""

import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from causeline.stack.ports import free_ports

ROOT = Path(__file__).parents[4]


def run(script: str, **variables: str) -> tuple["subprocess.CompletedProcess[str]", float]:
    """A script of its own process, its result and how many seconds it took."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", textwrap.dedent(script)],
        cwd=ROOT,
        env=environment | {"CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_ports(1)[0]}"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done, time.monotonic() - began


def test_a_forked_child_sends_its_own_events_and_none_of_its_parents() -> None:
    done, _ = run(
        """
        import os, sys
        from causeline.producers.emitter.emitter import Emitter
        from causeline.producers.tracer import Tracer
        from tests.unit.producers.recording import QUICK, RecordingTransport, events_of

        made = []
        def transport():
            made.append(RecordingTransport())
            return made[-1]

        tracer = Tracer("p", emitter=Emitter(QUICK.model_copy(update={"batch_age_s": 30}), transport=transport))
        with tracer.run("warm"):
            pass
        assert not tracer.flush()
        with tracer.run("invoice") as run:
            with run.tool("before"):
                pass
            child = os.fork()
            if child == 0:
                assert made[0].abandoned
                assert tracer.stats().accepted == 0
            with run.tool("child" if child == 0 else "parent"):
                pass
        assert not tracer.close()
        told = [event for event in events_of(made[-1]) if event.workflow == "invoice"]
        names = [getattr(event, "step_name", event.event_type.value) for event in told]
        if child == 0:
            assert names == ["child"], names
            assert told[0].seq == 0 and told[0].run_id == run.run_id
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert names == ["run_started", "before", "parent", "run_finished"], names
        assert told[-1].expected_events == 4
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_forked_child_says_of_a_run_outside_the_sample_is_on_record() -> None:
    """The child does not end the run, so it cannot hold its events until the end."""
    done, _ = run(
        """
        import os, sys
        from causeline.producers.emitter.emitter import Emitter
        from causeline.producers.tracer import Tracer
        from tests.unit.producers.recording import QUICK, RecordingTransport, events_of

        made = []
        def transport():
            made.append(RecordingTransport())
            return made[-1]

        tracer = Tracer("p", emitter=Emitter(QUICK.model_copy(update={"sample": 0.0}), transport=transport))
        with tracer.run("invoice") as run:
            child = os.fork()
            if child == 0:
                with run.tool("child"):
                    pass
        assert not tracer.close()
        if child == 0:
            assert [event.step_name for event in events_of(made[-1])] == ["child"]
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert not made
        assert tracer.stats().sampled_out == 1
        """
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_parent_and_child_spool_each_for_itself_and_the_next_process_delivers_both(tmp_path: Path) -> None:
    done, _ = run(
        f"""
        import os, sys
        from pathlib import Path
        from causeline.producers.emitter.emitter import Emitter
        from causeline.producers.emitter.segments import segments_in
        from causeline.stack.waiting import wait_until
        from tests.unit.producers.recording import RecordingTransport
        from tests.unit.producers.emitter.test_spool import event, spooling

        folder = Path({str(tmp_path)!r})
        emitter = Emitter(spooling(folder), transport=lambda: RecordingTransport(None))
        def spool(first, more):
            for seq in range(first, first + more):
                emitter.emit(*event(seq=seq))
            wait_until(lambda: emitter.stats().spooled >= more, timeout_s=60, what="events to be on the disk")
        spool(0, 5)
        child = os.fork()
        if child == 0:
            assert emitter.stats().spooled == 0
            spool(100, 7)
            emitter.close(0)
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert [state.is_held for state in segments_in(folder)].count(True) == 1, "the child's end frees its own alone"
        spool(5, 5)
        emitter.close(0)

        transport = RecordingTransport()
        after = Emitter(spooling(folder), transport=lambda: transport)
        assert after.drain(60) == 0
        after.close()
        assert sorted(read["seq"] for read in transport.events()) == [*range(10), *range(100, 107)]
        """
    )
    assert done.returncode == 0, done.stderr


def test_a_child_of_a_process_with_a_kafka_client_ends_and_emits() -> None:
    """To destroy the parent's client in the child would wait for ever for threads that are not there."""
    done, _ = run(
        """
        import os, sys
        from causeline import Tracer
        from causeline.schemas.errors import EnvironmentFault
        from causeline.stack.waiting import wait_until

        tracer = Tracer("p")
        with tracer.run("invoice"):
            pass
        wait_until(lambda: tracer.stats().last_error, timeout_s=60, what="the client to be there")
        child = os.fork()
        if child == 0:
            with tracer.run("invoice"):
                pass
            left = tracer.close(0.2)
            sys.exit(left.events)
        def ended():
            pid, status = os.waitpid(child, os.WNOHANG)
            return pid and (status,)

        try:
            (status,) = wait_until(ended, timeout_s=60, what="the child to end")
        except EnvironmentFault:
            os.kill(child, 9)
            raise
        assert os.waitstatus_to_exitcode(status) == 2, status
        """,
        CAUSELINE_EMITTER_CLOSE_TIMEOUT_S="0.2",
    )
    assert done.returncode == 0, done.stderr


def test_a_child_that_abandons_its_parents_client_can_end() -> None:
    done, _ = run(
        """
        import os, sys
        from causeline.producers.emitter.settings import EmitterSettings
        from causeline.producers.emitter.transport import KafkaTransport
        from causeline.runtime.connections import KafkaConnection
        from causeline.schemas.errors import EnvironmentFault
        from causeline.stack.waiting import wait_until

        transport = KafkaTransport(KafkaConnection.from_environment(), EmitterSettings(), "causeline.events")
        transport.send(0, b"value", print)
        child = os.fork()
        if child == 0:
            transport.abandon()
            sys.exit(3)

        def ended():
            pid, status = os.waitpid(child, os.WNOHANG)
            return pid and (status,)

        try:
            (status,) = wait_until(ended, timeout_s=60, what="the child to end")
        except EnvironmentFault:
            os.kill(child, 9)
            raise
        assert os.waitstatus_to_exitcode(status) == 3, status
        os._exit(0)
        """
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_a_process_with_the_broker_away_ends_in_time_and_says_what_is_left() -> None:
    done, took_s = run(
        """
        import logging
        logging.basicConfig(level=logging.WARNING)
        from causeline import Tracer

        tracer = Tracer("p")
        for _ in range(50):
            with tracer.run("invoice") as run, run.tool("t"):
                pass
        print("worked")
        """,
        CAUSELINE_EMITTER_CLOSE_TIMEOUT_S="0.5",
    )
    assert (done.returncode, done.stdout) == (0, "worked\n")
    assert "150 events in 1 batches were not delivered when the emitter closed." in done.stderr
    assert "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert took_s < 15, "0.5 s of patience, a second for the client, and the start of Python on a busy machine"


def test_a_signal_handler_may_close_the_tracer() -> None:
    done, _ = run(
        """
        import os, signal, sys
        from causeline.producers.tracer import Tracer
        from tests.unit.producers.recording import RecordingTransport, emitter_over

        transport = RecordingTransport()
        tracer = Tracer("p", emitter=emitter_over(transport))

        def stop(*_):
            left = tracer.close(5)
            stats = tracer.stats()
            print(left.events <= 1, stats.delivered > 0)
            sys.stdout.flush()
            os._exit(0)

        signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        while True:
            with tracer.run("invoice") as run, run.tool("t"):
                pass
        """
    )
    assert (done.returncode, done.stdout) == (0, "True True\n"), done.stderr


def test_importing_the_package_imports_no_client() -> None:
    done, _ = run(
        """
        import sys
        import causeline
        assert "confluent_kafka" not in sys.modules
        assert causeline.__version__
        assert causeline.Tracer and causeline.ArtifactStore and causeline.CauselineError
        assert sorted(set(causeline.__all__)) == sorted(causeline.__all__)
        for name in causeline.__all__:
            getattr(causeline, name)
        """
    )
    assert (done.returncode, done.stderr) == (0, "")
