"""What the exporter says while a backend does not take spans, in the words of who is to mend it."""

import logging
from collections.abc import Mapping

import pytest

from causeline.otlp.exporter.sending import Post, Refused, Sending, Stopped, http_post
from causeline.stack.ports import free_ports


def sent(post: Post) -> None:
    """One attempt; told to stop where it would wait and try again."""
    Sending(post, retry_max_s=1, pause=lambda _: True).send(b"spans")


def answering(status: int) -> Post:
    def post(body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        return status, {}, body

    return post


def test_an_address_where_nobody_listens_is_no_status_of_a_backend(caplog: pytest.LogCaptureFixture) -> None:
    [port] = free_ports(1)
    with caplog.at_level(logging.WARNING), pytest.raises(Stopped):
        sent(http_post(f"http://127.0.0.1:{port}/v1/traces", {}, 5))

    assert caplog.messages == ["the backend does not take spans now (Connection refused); sending again until it does"]


def test_a_backend_that_is_busy_is_named_by_its_status(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(Stopped):
        sent(answering(503))

    assert caplog.messages == ["the backend does not take spans now (HTTP 503); sending again until it does"]


def test_a_refusal_is_not_sent_again() -> None:
    with pytest.raises(Refused, match="HTTP 401"):
        sent(answering(401))
