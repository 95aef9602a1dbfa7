"""The transport of the unit tests is one."""

import pytest

from tests.contract.producers.transport_contract import PARTITIONS, TransportContract
from tests.unit.producers.recording import RecordingTransport


class TestRecordingTransport(TransportContract):
    @pytest.fixture
    def transport(self) -> RecordingTransport:
        return RecordingTransport(PARTITIONS)

    @pytest.fixture
    def lost(self) -> RecordingTransport:
        return RecordingTransport(None)
