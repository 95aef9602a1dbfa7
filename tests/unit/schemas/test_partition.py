"""Our partitioner is Java's default, so that any client that keys by run id agrees."""

from aiokafka.partitioner import murmur2 as their_murmur2
from hypothesis import given
from hypothesis import strategies as st

from causeline.schemas.partition import murmur2, partition_of


@given(st.binary(max_size=100))
def test_murmur2_is_that_of_kafkas_other_clients(data: bytes) -> None:
    assert murmur2(data) & 0x7FFFFFFF == their_murmur2(data) & 0x7FFFFFFF


def test_murmur2_gives_the_values_of_kafkas_own_test() -> None:
    # org.apache.kafka.common.utils.UtilsTest#testMurmur2
    known = {"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536}

    assert {text: murmur2(text.encode()) for text in known} == {t: v & 0xFFFFFFFF for t, v in known.items()}


@given(st.integers(1, 512), st.uuids())
def test_a_run_has_one_partition_within_range(partitions: int, run: object) -> None:
    run_id = str(run).replace("-", "")

    assert 0 <= partition_of(run_id, partitions) < partitions
    assert partition_of(run_id, partitions) == partition_of(run_id, partitions)
