"""A real Collector between us and a backend: `python -m interop.collector [BINARY]` (built first where none is named).

Each file of deploy/otel-collector/ is validated; then the generic one is run, spans are read back at the backend and
counted, and the backend's refusals must arrive at the sender as they are, for its retry rule depends on them.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from causeline.otlp.exporter.sending import Post, http_post
from causeline.stack.waiting import wait_until
from tests.integration.otlp.backend import running_backend
from tests.unit.otlp.requests import Recorded, answer_a_question

HERE = Path(__file__).parent
FILES = HERE.parent / "deploy" / "otel-collector"
BUILDER = "go.opentelemetry.io/collector/cmd/builder@v0.155.0"
BUILD_TIMEOUT_S = 1200
VALUES = {
    "DD_API_KEY": "none",
    "DD_OTLP_TRACES_ENDPOINT": "https://datadog.invalid/v1/traces",
    "HONEYCOMB_API_KEY": "none",
    "BACKEND_ENDPOINT": "https://backend.invalid",
}
REFUSALS = (400, 401, 429, 500, 503)


def build(folder: Path) -> Path:
    """Build the Collector of collector-builder.yaml; gives its binary."""
    manifest = folder / "builder.yaml"
    said = (HERE / "collector-builder.yaml").read_text("utf-8")
    manifest.write_text(
        said.replace("  name: otelcol\n", f"  name: otelcol\n  output_path: {folder / 'out'}\n"), "utf-8"
    )
    subprocess.run(["go", "run", BUILDER, "--config", str(manifest)], cwd=folder, check=True, timeout=BUILD_TIMEOUT_S)
    return folder / "out" / "otelcol"


def validate(binary: Path) -> int:
    """Have the Collector read each file; gives how many there are."""
    files = sorted(FILES.glob("*.yaml"))
    for file in files:
        command = [str(binary), "validate", "--config", str(file)]
        subprocess.run(command, env={**os.environ, **VALUES}, check=True, timeout=60)
    return len(files)


def pass_on(binary: Path) -> dict[str, object]:
    """Send through a running Collector; gives what arrived, and what became of each refusal."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    app = Recorded()
    for _ in range(100):
        answer_a_question(app)
    with running_backend() as backend:
        environment = {**os.environ, "OTELCOL_LISTEN": address, "BACKEND_ENDPOINT": backend.url}
        command = [str(binary), "--config", str(FILES / "generic.yaml")]
        collector = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        try:
            post = http_post(f"http://{address}/v1/traces", {}, 10.0)
            wait_until(lambda: _answers(post), timeout_s=30, what="the Collector does not answer")
            status = post(app.body())[0]
            arrived = len({(span.trace_id, span.span_id) for span in backend.spans})
            told = {}
            for refusal in REFUSALS:
                backend.answers = [(refusal, {})]
                told[refusal] = post(app.body(*app.spans[:4]))[0]
        finally:
            collector.terminate()
            collector.wait(30)
    return {"status": status, "spans_sent": len(app.spans), "spans_arrived": arrived, "refusals": told}


def _answers(post: Post) -> bool:
    try:
        return post(b"")[0] == 200
    except OSError:
        return False


def main(arguments: list[str]) -> int:
    """Exit code 0 where all that was sent arrived and each refusal came back as itself."""
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(arguments[0]) if arguments else build(Path(folder))
        report = {"files_valid": validate(binary), **pass_on(binary)}
    sys.stdout.write(f"{json.dumps(report)}\n")
    whole = report["status"] == 200 and report["spans_arrived"] == report["spans_sent"]
    return 0 if whole and report["refusals"] == {refusal: refusal for refusal in REFUSALS} else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
