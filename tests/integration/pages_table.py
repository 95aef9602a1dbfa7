"""How each page is followed: every page has a row here, and says what of it is not run as it stands, and why.

A step that nothing is said about is run as the page has it, in the page's order, and ends with 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Said:
    """What is said of the steps whose text begins so."""

    begins: str
    ends: tuple[int, ...] = (0,)
    """The exit codes that are right."""
    left: str = ""
    """Why the step is not run."""
    instead: str = ""
    """What is run in its place; `because` says why."""
    because: str = ""
    before: str = ""
    """What the reader has done before, which the page does not have as a command."""


_MAKE = "make would install into the environment that the tests run in; `make demo` is `make setup` and this"
_SERVICE = "a service that runs until it is told to stop; "
_COMPOSE = _SERVICE + "tests/integration/test_compose_commands.py runs it as it is deployed"
_NAMES = "names a host that is an example; "
_ELSEWHERE = "an agent, a collector or a backend that is not installed here; "
_RECIPE = "tests/integration/producers/test_deploying.py runs it under the real server"
_READER = "tests/integration/test_readme.py runs it, and holds what it prints"
_ALERT = "needs an alert, and so 1,500 runs; docs/drift.md has them, and tests/integration/drift/test_commands.py mutes"
_FEWER = "as many as tell the same, and come sooner"
_PORT = "the port is one that others of this machine may have"
_CASES = "causeline eval export --run RUN --to tests/cases"
_BROKEN = "printf 'from causeline.demo.evals import masks_too_much as answer\\n' > app/evals.py"
_MENDED = "printf 'from causeline.demo.evals import answer\\n' > app/evals.py"

WALKS: Mapping[str, Sequence[Said]] = {
    "README.md": (
        Said("workflow steps ─►", left="a picture"),
        Said("make demo", instead="causeline demo --runs 120 --seed 38", because=_MAKE),
        Said("from causeline import ArtifactStore, Tracer", left=_READER),
        Said("import os\n\nfrom confluent_kafka", left=_READER),
        Said("The parser lost pages", left="answers; tests/unit/diagnosis/test_why_page.py holds such"),
        Said("causeline lint-traces", ends=(1,)),  # the demo plants such habits
        Said("causeline eval gate cases --target causeline.demo.evals:masks_too_much", ends=(1,)),
        Said("causeline demo --drift", instead="causeline demo --drift --runs 1500", because=_FEWER),
        Said(
            "CAUSELINE_EXPORT_HEADERS_FILE",
            left="sends to a vendor; tests/integration/otlp/test_export.py exports to a backend of ours",
        ),
    ),
    "CONTRIBUTING.md": (Said("make ", left="the suite, which does not run itself"),),
    "docs/architecture.md": (Said("", left="a picture"),),
    "docs/bi.md": (),
    "docs/cli.md": (
        Said("causeline amend --follow", left=_COMPOSE),
        Said("causeline demo --runs 20000", instead="causeline demo --runs 60 --seed 38", because=_FEWER),
        Said(
            "causeline demo --drift",
            instead="causeline demo --drift --runs 120 && causeline watch --once",
            because=_FEWER + ", and the watch's next pass now",
        ),
        Said(
            "causeline demo --json --down", left="it stops the stack; tests/integration/stack/test_local.py does that"
        ),
        Said("causeline demo", instead="causeline demo --runs 60", because=_FEWER),
        Said("causeline doctor", ends=(0, 1)),  # what it finds is tests/integration/ops/test_doctor.py's
        Said("causeline up --workers 2", left="another stack; tests/integration/stack/test_local.py starts such"),
        Said("causeline down", left="it stops the stack; tests/integration/stack/test_local.py does that"),
        Said("causeline drift show ALERT", left=_ALERT),
        Said("causeline drift ack ALERT", left=_ALERT),
        Said("causeline drift mute ALERT", left=_ALERT),
        Said("causeline watch --once"),
        Said("causeline watch", left=_COMPOSE),
        Said("causeline artifact put FILE", before="echo 'Policy 4711.' > FILE"),
        Said("causeline lint-traces", ends=(1,)),
        Said("causeline runs --status error --json", ends=(0, 1)),  # those that lack a required field are named
        Said(
            "causeline eval export --overridden",
            instead="causeline eval export --overridden --since 7d --to others",
            because="the gates below would answer dozens of cases, each in a process",
            before=_CASES,
        ),
        Said("causeline eval gate tests/cases --target", before=_MENDED),
        Said("causeline restore monday --as looked_at"),
        Said("causeline restore monday", ends=(1,)),  # the database is not empty: it says so
        Said("causeline spool status --folder", left="a folder of the whole machine"),
        Said("causeline spool status", before="export CAUSELINE_EMITTER_SPOOL=$PWD/spool"),
        Said("causeline worker --kafka", left=_NAMES + "the line above is without"),
        Said("causeline worker", left=_COMPOSE),
        Said("causeline load --clickhouse-url", left=_NAMES + "the line above is without"),
        Said("causeline load --again"),
        Said("causeline load", left=_COMPOSE),
        Said("causeline diagnose", left=_COMPOSE),
        Said("causeline export --once", left="needs a backend; tests/integration/otlp/test_export.py has one"),
        Said("causeline export", left=_COMPOSE),
        Said("CAUSELINE_EXPORT_HEADERS_FILE", left="sends to a vendor"),
        Said("OTEL_EXPORTER_OTLP_ENDPOINT", left=_PORT + "; docs/opentelemetry.md has it for the stack's"),
        Said("causeline receive", left=_COMPOSE),
        Said("causeline serve", left=_COMPOSE),
        Said("curl http://127.0.0.1:8080", left=_PORT + "; tests/integration/test_registry.py asks the same"),
        Said("causeline migrate --clickhouse-url", left=_NAMES + "the line above is without"),
        Said("causeline mcp", left="tests/integration/test_foreign_clients.py asks it every tool"),
        Said("claude mcp add", left=_ELSEWHERE + "the command that it is given is run by test_foreign_clients.py"),
        Said("causeline topics apply --partitions 16", ends=(1,)),  # runs would change their partition: it says so
    ),
    "docs/deploying-emitters.md": (Said("", left=_RECIPE),),
    "docs/dev/emitter.md": (Said("", left="a picture"),),
    "docs/drift.md": (Said("causeline demo --drift", instead="causeline demo --drift --runs 1500", because=_FEWER),),
    "docs/eval.md": (
        Said("causeline eval gate tests/cases --target app.evals:answer    # red", ends=(1,), before=_BROKEN),
        Said("#  … mend", instead=_MENDED, because="the reader's own code"),
        Said(
            "causeline eval gate examples/cases/policy --policy src/causeline/demo/policy.toml \\\n"
            "    --target causeline.demo.evals:masks_too_much",
            ends=(1,),
        ),
    ),
    "docs/hosted.md": (),
    "docs/mcp.md": (
        Said("claude mcp add", left=_ELSEWHERE + "the command that it is given is run by test_foreign_clients.py"),
    ),
    "docs/opentelemetry.md": (
        Said("causeline receive", left="needs a topic; tests/integration/otlp/test_topic.py has one"),
        Said("causeline export", left=_NAMES + "tests/integration/otlp/test_export.py has one that is there"),
    ),
    "docs/operations.md": (
        Said("causeline load --again 2026", instead="causeline load --again 1h", because="the moment is an example"),
    ),
    "docs/performance.md": (
        Said("make bench", left="an hour; each benchmark has a test of its own"),
        Said("python -m benchmarks.join --json", left="minutes; the next line is the same with less"),
        Said("python -m benchmarks.join --quick", left="a minute of both cores"),
    ),
    "docs/planted-release.md": (
        Said("", left="answers; tests/integration/causes/test_releases.py plants the same and holds what is said"),
    ),
    "docs/policy.md": (
        Said(
            "decision = run.evidence",
            before="from causeline import Tracer\nrun = Tracer.disabled().run('invoice')\nrun.__enter__()\n"
            "page = booklet = schedule = said_600 = said_450 = 'doc:17#page=3'\n"
            "from causeline import ConflictSide",
        ),
        Said("run 019f", left="an answer; tests/integration/test_pause_on_gap.py holds it"),
    ),
    "docs/reviews.md": (),
    "docs/site.md": (Said("", left="tests/faults/test_site_page.py and test_three_brokers.py run each block"),),
    "docs/why.md": (Said("", left="answers; tests/unit/diagnosis/test_why_page.py holds them"),),
    "deploy/otel-collector/README.md": (
        Said("", left=_ELSEWHERE + "`python -m interop.collector` builds one, and has it take each file"),
    ),
    "examples/producers/README.md": (
        Said("cd examples/producers/node", left="needs npm's registry; `make interop` runs the kit"),
        Said("node conformance.mjs", left="the same"),
        Said('causeline show "$(node producer.mjs)"', left="the same"),
        Said("import zstd", left="the same"),
    ),
} | dict.fromkeys(
    (
        "deploy/kubernetes/README.md",
        "deploy/secrets/README.md",
        "docs/console.md",
        "docs/dashboards.md",
        "docs/dev/house.md",
        "docs/dev/pages.md",
        "docs/dev/release.md",
        "docs/glossary.md",
        "docs/reliability.md",
        "docs/security.md",
        "docs/trace-contract.md",
        "docs/walk.md",
        "docs/wire.md",
    ),
    (),
)
