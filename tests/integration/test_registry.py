"""A registry that is configured is asked once, and its ids are written; one that does not answer is a sentence."""

import pytest

from causeline.schemas import catalogue
from causeline.schemas.errors import Unreachable
from causeline.schemas.registry import from_registry
from causeline.schemas.topics import TOPICS
from causeline.stack.endpoints import Endpoints
from causeline.stack.ports import free_ports


def test_the_ids_of_a_registry_are_taken(stack: Endpoints) -> None:
    names = {topic.subject: f"{topic.full_name('causeline')}-value" for topic in TOPICS}

    schemas = from_registry(stack.console_url, names)

    # The console's own registry holds the bundled schemas, so the ids it gives are the bundled ones.
    for subject in names:
        newest = catalogue.latest(subject)
        assert schemas.write_id(subject) == newest.schema_id
        assert schemas.resolve(newest.schema_id, subject) == newest


def test_a_registry_that_is_away_is_a_sentence_with_the_way_out() -> None:
    with pytest.raises(Unreachable, match="registry") as caught:
        from_registry(f"http://127.0.0.1:{free_ports(1)[0]}", {"gap": "causeline.gaps-value"})

    assert "CAUSELINE_REGISTRY_URL" in str(caught.value.hint)
