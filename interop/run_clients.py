"""Real clients, unmodified, and the runs that they become: `python -m interop.run_clients [NAME …] [--cache FOLDER]`.

Each folder of interop/clients/ is a client in an environment of its own (Python by uv, JavaScript by npm), pinned. It
talks to a recorder that plays the model too; the runs that its requests become are printed with the verdicts of `why`.
With `--record` they are stored in interop/recordings/, which the tests replay.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from causeline.console.views.why_view import first_line
from causeline.diagnosis.diagnose import diagnose
from causeline.schemas.run import Run
from interop.fake_openai import FAILING
from interop.recorder import Recorder, Request, running_recorder, write_recording
from tests.unit.otlp.endpoint import Door

HERE = Path(__file__).parent
CLIENTS = HERE / "clients"
RECORDINGS = HERE / "recordings"
FAILURES = HERE / "failures"
"""What the same clients sent when the model answered with an error only."""
INSTALL_TIMEOUT_S = 600
RUN_TIMEOUT_S = 120


def names() -> list[str]:
    """The clients that there are."""
    return sorted(folder.name for folder in CLIENTS.iterdir() if folder.is_dir())


def install(name: str, cache: Path) -> list[str]:
    """Make a client's environment, or find it; gives the command that runs it."""
    source, home = CLIENTS / name, cache / name
    home.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        shutil.copy(file, home)
    if (source / "package.json").exists():
        quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--silent"]
        subprocess.run(["npm", "install", *quiet], cwd=home, check=True, timeout=INSTALL_TIMEOUT_S)
        return ["node", "main.mjs"]
    python = home / "venv" / "bin" / "python"
    uv = [sys.executable, "-m", "uv"]
    if not python.exists():
        subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, "venv"], cwd=home, check=True)
    wanted = [*uv, "pip", "install", "--quiet", "--python", str(python), "-r", "requirements.txt"]
    subprocess.run(wanted, cwd=home, check=True, timeout=INSTALL_TIMEOUT_S)
    return [str(python), "main.py"]


def record(name: str, command: list[str], home: Path, *, failing: bool = False) -> Recorder:
    """Run a client against a recorder; gives all that came. With `failing` the model answers with an error only."""
    with running_recorder() as recorder:
        grpc_only = name.endswith("_grpc")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "OPENAI_API_KEY": "none",
            "OPENAI_BASE_URL": f"{recorder.url}{FAILING if failing else '/'}v1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://{recorder.grpc}" if grpc_only else recorder.url,
            "OTEL_SERVICE_NAME": "app",
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
            "OTEL_PYTHON_EXPERIMENTAL_DISABLE_PROCESS_DETECTOR": "true",
            "LANGFUSE_HOST": recorder.url,
            "LANGFUSE_BASE_URL": recorder.url,
            "LANGFUSE_PUBLIC_KEY": "pk-lf-none",
            "LANGFUSE_SECRET_KEY": "sk-lf-none",
            "LANGFUSE_BASEURL": recorder.url,
            "TRACELOOP_TELEMETRY": "false",
            "TRACELOOP_METRICS_ENABLED": "false",
            "NO_PROXY": "127.0.0.1",
            "OPENAI_MAX_RETRIES": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        if not grpc_only:  # MLflow asks for this one by name
            environment["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] = f"{recorder.url}/v1/traces"
            environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
        ended = subprocess.run(
            command, cwd=home, env=environment, timeout=RUN_TIMEOUT_S, capture_output=True, text=True, check=False
        )
        if ended.returncode and not failing:
            raise RuntimeError(f"{name} ended with {ended.returncode}: {ended.stderr[-2000:]}")
        return recorder


def replayed(requests: list[Request], folder: Path) -> tuple[Run, ...]:
    """The runs that the receiver and the assembler make of a client's requests."""
    door = Door(folder)
    try:
        for request in requests:
            answer = door.post(request.body, json=request.json, path=f"/v1/{request.signal}")
            if answer.status_code != 200:
                raise RuntimeError(f"a request was answered with {answer.status_code}: {answer.text}")
        return tuple(door.runs.values())
    finally:
        door.close()


def told(run: Run) -> Iterator[str]:
    """A run, as far as a client decides it, and the verdicts of `why`."""
    yield f"  run {run.workflow!r}: {run.verdict}, {len(run.steps)} steps, input {run.input_ref is not None}"
    for step in run.steps:
        facts = {
            "model": step.model_name, "provider": step.model_provider, "fingerprint": step.system_fingerprint,
            "temperature": step.temperature, "tokens in": step.input_tokens, "tokens out": step.output_tokens,
            "context": len(step.context_refs) or None, "output": "kept" if step.raw_output_ref else None,
        }  # fmt: skip
        said = {key: value for key, value in facts.items() if value is not None}
        yield f"    {step.full_name}: {said} {dict(step.labels)}"
    found = diagnose(run)
    yield f"    why: {first_line(found)} {'; '.join(found.unknown)}"


def versions(name: str, home: Path) -> dict[str, str]:
    """What was installed of what the client asks for by name."""
    source = CLIENTS / name
    if (source / "package.json").exists():
        wanted = json.loads((source / "package.json").read_text("utf-8"))["dependencies"]
        return {
            each: json.loads((home / "node_modules" / each / "package.json").read_text("utf-8"))["version"]
            for each in wanted
        }
    command = [sys.executable, "-m", "uv", "pip", "list", "--format", "json", "--python", str(home / "venv/bin/python")]
    listed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    asked = (source / "requirements.txt").read_text("utf-8").split()
    return {each["name"]: each["version"] for each in listed if any(word.startswith(each["name"]) for word in asked)}


def main(arguments: list[str]) -> int:
    """Exit code 0 where every client that was asked for gave a run."""
    parser = argparse.ArgumentParser(prog="python -m interop.run_clients", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(names())}; by default all")
    parser.add_argument("--cache", type=Path, help="where environments are kept; by default they are not")
    parser.add_argument("--record", action="store_true", help="put what came in place of the recordings")
    options = parser.parse_args(arguments)
    failed = []
    with tempfile.TemporaryDirectory(prefix="causeline-interop-") as scratch:
        cache = (options.cache or Path(scratch)).resolve()
        for name in options.names or names():
            sys.stdout.write(f"{name}\n")
            try:
                recorder = record(name, install(name, cache), cache / name)
                runs = replayed(recorder.requests, Path(scratch) / f"{name}.artifacts")
                if options.record and runs:
                    write_recording(RECORDINGS / name, recorder.requests)
            except (RuntimeError, subprocess.SubprocessError, OSError) as error:
                failed.append(name)
                sys.stdout.write(f"  failed: {error}\n")
                continue
            sys.stdout.write(f"  {versions(name, cache / name)}; not ours: {sorted(set(recorder.unknown))}\n")
            for run in runs:
                sys.stdout.writelines(f"{line}\n" for line in told(run))
            if not runs:
                failed.append(name)
            sys.stdout.flush()
    sys.stdout.write(f"{json.dumps({'clients': len(options.names or names()), 'failed': failed})}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
