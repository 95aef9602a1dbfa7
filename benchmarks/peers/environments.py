"""Environments for peers whose pins clash with ours: made once by uv, in the cache folder, and only when asked for."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PEERS: Mapping[str, Sequence[str]] = {
    "quix": ("quixstreams==3.28.1",),
    "phoenix": ("arize-phoenix==20.26.1",),
    "bytewax": ("bytewax==0.21.1", "confluent-kafka==2.12.2", "orjson==3.11.4"),
}
"""By peer, what its environment holds; uv brings what that needs."""
_MADE = ".made"
_PATIENCE_S = 600


def cache_folder() -> Path:
    """`$XDG_CACHE_HOME/causeline/peers`, or the same under `~/.cache`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "causeline" / "peers"


def python_of(peer: str, *, make: bool) -> Path | None:
    """The interpreter of a peer's environment; None when it is not there and is not to be made, or cannot be."""
    wanted = "\n".join(PEERS[peer])
    folder = cache_folder() / peer
    python = folder / "bin" / "python"
    mark = folder / _MADE
    if mark.is_file() and mark.read_text("utf-8") == wanted:
        return python
    uv = shutil.which("uv", path=os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))))
    if not make or uv is None:
        return None
    for words in (
        ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        ["pip", "install", "--quiet", "--python", str(python), *PEERS[peer]],
    ):
        made = subprocess.run([uv, *words], check=False, timeout=_PATIENCE_S)
        if made.returncode:
            print(f"The environment of {peer} could not be made; it is not measured.", file=sys.stderr, flush=True)
            return None
    mark.write_text(wanted, "utf-8")
    return python
