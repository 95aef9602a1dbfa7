"""Which partition a run belongs to: murmur2 of the run id, as Java's default partitioner has it.

Source: org.apache.kafka.common.utils.Utils#murmur2 and BuiltInPartitioner#partitionForKey.
"""

from functools import lru_cache

_SEED = 0x9747B28C
_M = 0x5BD1E995
_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """The unsigned 32-bit murmur2 of `data` with Kafka's seed."""
    length = len(data)
    h = _SEED ^ length
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * _M) & _MASK
        k ^= k >> 24
        k = (k * _M) & _MASK
        h = ((h * _M) & _MASK) ^ k
    if length > whole:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * _M) & _MASK
    h ^= h >> 13
    h = (h * _M) & _MASK
    return h ^ (h >> 15)


@lru_cache(maxsize=4096)
def partition_of(run_id: str, partitions: int) -> int:
    """The partition of a run among `partitions`; any client that keys by run id agrees."""
    return (murmur2(run_id.encode()) & 0x7FFFFFFF) % partitions
