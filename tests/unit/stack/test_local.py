"""What `up` says of a stack that does not get ready."""

import time
from datetime import UTC, datetime

import pytest

from causeline.schemas.errors import EnvironmentFault
from causeline.stack.local import lacking
from causeline.stack.supervisor import ProcessId, ServiceReport, ServiceState, SupervisorReport
from causeline.stack.waiting import wait_until

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report(*services: ServiceReport) -> SupervisorReport:
    return SupervisorReport(process=ProcessId(pid=1, started=0), since=NOW, services=list(services))


def test_the_sentence_of_the_service_that_refuses_is_repeated() -> None:
    kafka = ServiceReport(name="kafka", state=ServiceState.READY, since=NOW)
    waits = ServiceReport(name="console", state=ServiceState.WAITING, since=NOW)
    fault = "ended with exit code 3: Kafka does not answer."
    refuses = ServiceReport(name="worker", state=ServiceState.BACKING_OFF, since=NOW, last_fault=fault)

    assert lacking(report(kafka, waits, refuses)) == (
        "console, worker are not ready; worker ended with exit code 3: Kafka does not answer"
    )
    assert lacking(report(kafka, waits)) == "console is not ready"
    assert lacking(None) == lacking(report(kafka)) == "the stack is not ready"


def test_what_is_lacking_is_asked_for_when_the_time_is_over() -> None:
    began = time.monotonic()

    with pytest.raises(EnvironmentFault, match=r"Waited 0 s in vain: all of it\."):
        wait_until(lambda: None, timeout_s=0, what=lambda: "all of it" if time.monotonic() > began else "nothing")
