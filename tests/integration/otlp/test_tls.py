"""`causeline receive` with a certificate: both doors speak TLS, and nothing else."""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx
import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from causeline.runtime.connections import KafkaConnection
from causeline.stack.ports import free_ports
from causeline.stack.waiting import wait_until
from tests.integration.security.certificates import Certificates, make_certificates
from tests.unit.otlp.requests import Recorded, answer_a_question


@dataclass(frozen=True)
class Secure:
    """A receiver that runs: its ports, and whom to trust."""

    http: int
    grpc: int
    certificates: Certificates


@pytest.fixture(scope="module")
def secure(kafka: KafkaConnection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    folder = tmp_path_factory.mktemp("tls")
    certificates = make_certificates(folder / "certificates")
    prefix = "otlp-tls"
    admin = AdminClient(dict(kafka.client_config()))
    [created] = admin.create_topics([NewTopic(f"{prefix}.events", 1, 1)]).values()
    created.result(30)
    http, grpc_port = free_ports(2)
    environment = {
        **os.environ,
        "CAUSELINE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
        "CAUSELINE_STATE_DIR": str(folder / "state"),
        "CAUSELINE_HEALTH_PORT": "0",
        "CAUSELINE_RECEIVE_TLS_CERTIFICATE": str(certificates.certificate),
        "CAUSELINE_RECEIVE_TLS_KEY": str(certificates.key),
    }
    ports = ["--port", str(http), "--grpc-port", str(grpc_port)]
    command = [sys.executable, "-m", "causeline.cli", "receive", *ports, "--prefix", prefix]
    with _running(command, environment, folder / "receiver.log"):
        trust = ssl.create_default_context(cafile=certificates.authority)

        def answers() -> bool:
            try:
                return httpx.get(f"https://127.0.0.1:{http}/healthz", verify=trust).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(answers, timeout_s=30, what="the receiver does not answer")
        yield Secure(http, grpc_port, certificates)


@contextmanager
def _running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.terminate()
            assert process.wait(30) == 0, log.read_text("utf-8")


def _by_http(secure: Secure, scheme: str, trusted: Path | None) -> SpanExporter:
    trust = None if trusted is None else str(trusted)
    return HttpExporter(f"{scheme}://127.0.0.1:{secure.http}/v1/traces", certificate_file=trust, timeout=1.5)


def _by_grpc(secure: Secure, scheme: str, trusted: Path | None) -> SpanExporter:
    trust = grpc.ssl_channel_credentials(None if trusted is None else trusted.read_bytes())
    insecure = scheme == "http"
    return GrpcExporter(
        f"{scheme}://127.0.0.1:{secure.grpc}", insecure=insecure, credentials=None if insecure else trust, timeout=1.5
    )


@pytest.mark.parametrize("way", [_by_http, _by_grpc])
def test_an_sdk_that_trusts_the_certificate_is_taken_in_and_others_are_not(
    secure: Secure, way: Callable[[Secure, str, Path | None], SpanExporter], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # they would stand above the exporter's own certificate
        monkeypatch.delenv(name, raising=False)
    app = Recorded()
    answer_a_question(app)
    outcomes = []
    for scheme, trusted in (("https", secure.certificates.authority), ("https", None), ("http", None)):
        exporter = way(secure, scheme, trusted)
        try:
            outcomes.append(exporter.export(app.spans))
        except OSError:
            outcomes.append(SpanExportResult.FAILURE)
        finally:
            exporter.shutdown()
    assert outcomes == [SpanExportResult.SUCCESS, SpanExportResult.FAILURE, SpanExportResult.FAILURE]
