"""Runs one target under atheris, for a time, from its committed corpus; what it finds is left in a folder and named.

Atheris is no dependency of the project: `pip install atheris` (Linux, Python 3.11 or newer) for who wants to fuzz.
"""

import argparse
import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

Target = Callable[[bytes], None]
"""Takes any bytes; whatever it raises is a finding."""

CORPUS = Path(__file__).parent / "corpus"
_LONGEST_INPUT = 1 << 16
_MEMORY_MB = 2048
_SLOW_S = 10


def fuzz(name: str) -> int:
    """Fuzz the target `tests.fuzz.<name>` as the command line says; 0 unless it found something."""
    parser = argparse.ArgumentParser(prog=f"python -m tests.fuzz.{name}")
    parser.add_argument("--seconds", type=int, default=60, help="how long to try")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument("--corpus", type=Path, help="a folder to gather new inputs in; else they are thrown away")
    options = parser.parse_args()
    if importlib.util.find_spec("atheris") is None:
        sys.stderr.write("Fuzzing needs atheris: pip install atheris.\n")
        return 4
    atheris = importlib.import_module("atheris")
    for module in [each for each in sys.modules if each.partition(".")[0] in {"causeline", "tests"}]:
        del sys.modules[module]  # imported before it could be instrumented
    with atheris.instrument_imports(include=["causeline"]), tempfile.TemporaryDirectory() as fresh:
        target: Target = importlib.import_module(f"tests.fuzz.{name}").try_bytes
        findings = f"{tempfile.gettempdir()}/fuzz-{name}-"
        gathered = options.corpus or Path(fresh)
        flags = [
            f"-max_total_time={options.seconds}", f"-seed={options.seed}", f"-max_len={_LONGEST_INPUT}",
            f"-rss_limit_mb={_MEMORY_MB}", f"-timeout={_SLOW_S}", f"-artifact_prefix={findings}",
            str(gathered), str(CORPUS / name),
        ]  # fmt: skip
        atheris.Setup([name, *flags], target)
        atheris.Fuzz()
    return 0
