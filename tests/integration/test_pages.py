"""README and docs, followed in their order on one fresh stack: each command and block as the page has it."""

import configparser
import json
import os
import re
import shlex
import struct
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import pytest
import yaml
from confluent_kafka import Producer
from typer.testing import CliRunner

from causeline.cli.app import app
from causeline.console.store import Store, open_store
from causeline.demo.plan import PlannedRun, plan
from causeline.demo.publish import demo_policy_text, publish_planned
from causeline.producers.artifacts import ArtifactStore
from causeline.producers.emitter.emitter import Emitter
from causeline.producers.tracer import Tracer
from causeline.stack.endpoints import Endpoints
from causeline.stack.local import down, up
from causeline.stack.settings import StackSettings
from causeline.stack.waiting import wait_until
from tests.integration.pages_table import WALKS, Said
from tests.pages import PAGES, ROOT, Step, steps

ORDER: Final = ("README.md", *(page for page in PAGES if page != "README.md" and any(steps(page))))
RUNNING: Final = ("sh", "python", "sql")
LONG: Final = ("README.md", "docs/cli.md", "docs/drift.md", "docs/eval.md")
LAST: Final = "docs/cli.md"
"""It erases the run that the others ask about."""
OWN_PROCESS: Final = ("demo", "doctor", "eval", "open", "up")
"""Commands that start others, or give up threads that hang."""
READ: Mapping[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "ini": lambda text: configparser.ConfigParser().read_string(text),
}
NAMED: Final = {
    "OTHER": "SELECT run_id AS named FROM runs WHERE workflow = 'policy' AND run_id != {run:String} LIMIT 1",
    "ITEM": "SELECT item_id AS named FROM reviews WHERE state = 'open'"
    " ORDER BY run_id = {run:String} DESC, priority DESC NULLS LAST LIMIT 1",
    "MESSAGE": "SELECT message_id AS named FROM dead_messages LIMIT 1",
    "HASH": "SELECT policy_hash AS named FROM policies LIMIT 1",
    "ALERT": "SELECT alert_id AS named FROM alerts ORDER BY state = 'open' DESC, alert_id LIMIT 1",
    "SESSION": "SELECT session_id AS named FROM runs WHERE session_id IS NOT NULL LIMIT 1",
}
_FIELD: Final = "SELECT field_path FROM reviews WHERE state = 'open' AND run_id = {run:String} LIMIT 1"
_NAME: Final = re.compile(rf"(?<![A-Z_$.-])(RUN|REF|VALUE|CASE|{'|'.join(NAMED)})(?![A-Z_=])")

APP: Final = """
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("app").start_as_current_span("answer"):
    pass
provider.shutdown()
"""
RULE: Final = """
[[workflow.policy.review]]
name = "no source"
question = "Does the document say it at all?"
when = { gap = "missing_citation" }
"""
"""By which people are asked about the runs that are planted here; nobody of the demo's looks at them."""
COMMAND: Final = """
import json, sys
from types import SimpleNamespace

from causeline import Tracer
from causeline.demo.evals import answer

with Tracer() as tracer:
    print(json.dumps(answer(SimpleNamespace(**json.load(sys.stdin)), tracer)))
"""


def said_of(page: str, step: Step) -> Said:
    return next((each for each in WALKS[page] if step.text.startswith(each.begins)), Said(step.text))


def _is_run(page: str, step: Step) -> bool:
    return step.language in RUNNING and not said_of(page, step).left


FOLLOWED: Final = sorted(
    (page for page in ORDER if any(_is_run(page, step) for step in steps(page))), key=lambda page: page == LAST
)


def test_every_page_has_its_row_and_every_row_its_page() -> None:
    assert sorted(WALKS) == sorted(PAGES), "tests/integration/pages_table.py"


@pytest.mark.parametrize("page", [page for page, said in WALKS.items() if said])
def test_what_is_said_of_a_page_is_about_a_step_of_it(page: str) -> None:
    used = {said_of(page, step).begins for step in steps(page)}
    assert [each.begins for each in WALKS[page] if each.begins not in used] == []


@pytest.mark.parametrize("page", ORDER)
def test_what_is_not_run_is_read_or_has_its_reason(page: str) -> None:
    """Configuration is read by what reads it; a file that a reason names is there."""
    for step in steps(page):
        said = said_of(page, step)
        for file in re.findall(r"\S+\.(?:py|md)\b", said.left):
            assert (ROOT / file).exists() or list((ROOT / "tests").rglob(file)), file
        if step.language in READ:
            assert READ[step.language](step.text) is not Ellipsis
        else:
            assert step.language in RUNNING or said.left, f"{page}:{step.line} is neither run nor has it a reason"


@dataclass(frozen=True, slots=True)
class Site:
    """The folder of somebody who follows the pages, with a stack of its own and a run whose masking is wrong."""

    folder: Path
    stack: Endpoints
    store: Store
    run_id: str
    truth: Mapping[str, str | None]
    """What the run's documents say, by field."""

    def named(self, name: str) -> str:
        """What stands where a page says `RUN`, `ITEM`, …: now, because the steps before have changed it."""
        if name == "RUN":
            return self.run_id
        if name == "REF":
            return ArtifactStore.open(str(self.stack.artifacts)).put(b"300 EUR")
        if name == "VALUE":
            asked = self.store.ask(_FIELD, {"run": self.run_id})
            return shlex.quote(str(self.truth[str(asked[0]["field_path"])]) if asked else "300 EUR")
        if name == "CASE":
            return "policy-mask"
        found = wait_until(lambda: self.store.ask(NAMED[name], {"run": self.run_id}), timeout_s=120, what=name)
        return str(found[0]["named"])

    def follow(self, step: Step, said: Said) -> str | None:
        """Run one step, in the environment that those before it have left; a sentence where it does not end as said."""
        command = _NAME.sub(lambda found: self.named(found[1]), said.instead or step.text)
        before = _NAME.sub(lambda found: self.named(found[1]), said.before)
        if step.language != "sh":
            file = self.folder / f"block.{step.language}"
            file.write_text(f"{before}\n{command}\n")
            before = ""
            command = {"python": f"python {file.name}", "sql": f'causeline sql "$(cat {file.name})"'}[step.language]
        if before:
            self._shell(before)
        code, output = self._here(command) if _is_plain(command) else self._shell(command)
        if code in said.ends and "Traceback" not in output:
            return None
        return f"{step.line}: {command}\nended with {code}: {output[-1500:]}"

    def _shell(self, command: str) -> tuple[int, str]:
        """In a shell, whose variables the next one has, too."""
        done = subprocess.run(
            ["bash", "-c", f". ./shell\n{command}\ncode=$?\nexport -p > shell\nexit $code\n"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=400,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def _here(self, command: str) -> tuple[int, str]:
        """A command of ours alone, in this process: a process of its own would take four times as long."""
        variables = self._shell("env -0")[1].split("\0")
        said = CliRunner().invoke(
            app,
            shlex.split(command, comments=True)[1:],
            env={name: value for name, _, value in (each.partition("=") for each in variables) if name},
        )
        fault = said.exception
        wrong = "" if fault is None or isinstance(fault, SystemExit) else f"Traceback {fault!r}"
        return said.exit_code, said.output + wrong

    @property
    def environment(self) -> dict[str, str]:
        """Of a shell that has just been opened; a browser is not."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("CAUSELINE_")}
        return own | {"BROWSER": "true"}


def _is_plain(command: str) -> bool:
    """Whether it is one command of ours, without anything of a shell's, and none that is about its own process."""
    words = shlex.split(command, comments=True)
    return words[:1] == ["causeline"] and words[1] not in OWN_PROCESS and not re.search(r"[|<>$;&`*]", command)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / ".venv").symlink_to(sys.prefix)
    for name in ("examples", "src"):
        (folder / name).symlink_to(ROOT / name)
    before, section, after = demo_policy_text().partition("[workflow.contract]")
    policy = before + RULE + section + after
    (folder / "policy.toml").write_text(policy)
    (folder / "app.py").write_text(APP)
    (folder / "app").mkdir()
    (folder / "app" / "__init__.py").touch()
    (folder / "app" / "__main__.py").write_text(COMMAND)
    stack = up(StackSettings(state_dir=folder / ".causeline"), policy=policy)
    try:
        with open_store(stack.clickhouse()) as store:
            planted = _masking()
            yield Site(folder, stack, store, _planted(planted, stack, store, folder), planted[0].case.truth)
    finally:
        down(stack.state_dir)


def _planted(runs: Sequence[PlannedRun], stack: Endpoints, store: Store, folder: Path) -> str:
    """Runs that mask what they are asked for, each with an item, and a message that nobody can read."""
    with Tracer("demo", emitter=Emitter(kafka=stack.kafka())) as tracer:
        published = publish_planned(
            runs,
            count=len(runs),
            tracer=tracer,
            artifacts=ArtifactStore.open(str(stack.artifacts)),
            truth_file=folder / "truth.jsonl",
            session_label="pages",
        )
    client = Producer(stack.kafka().client_config())
    client.produce(f"{stack.topic_prefix}.events", struct.pack(">bI", 0, 4242) + b"?")
    assert client.flush(30) == 0
    for sql, what in (
        (f"SELECT 1 FROM runs HAVING count() = {len(runs)}", "the runs"),
        (f"SELECT 1 FROM reviews HAVING count() >= {len(runs)}", "the items"),
        ("SELECT 1 FROM dead_messages", "the letter"),
    ):
        wait_until(lambda sql=sql: store.ask(sql), timeout_s=120, what=what)  # type: ignore[misc]
    return published.run_ids[0]


def _masking() -> list[PlannedRun]:
    """A few, for what is usual explains nothing. Nobody in the demo reviews them."""
    masking = (
        each
        for each in plan(7, 3000)
        if [fault.name for fault in each.faults] == ["mask_money"] and each.case.workflow == "policy"
    )
    return [
        replace(
            each,
            behaviour=replace(
                each.behaviour,
                twist=each.behaviour.twist | {"review_skipped"},
                audited=False,
                legacy=False,
                stumbles=False,
            ),
        )
        for each in islice(masking, 3)
    ]


@pytest.mark.stack
@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=pytest.mark.slow) if page in LONG else page for page in FOLLOWED]
)
def test_a_page_can_be_followed(site: Site, page: str) -> None:
    """One after the other, each in a shell of its own: what a page leaves on the stack, the next one finds."""
    os.chdir(site.folder)  # the fixture `own_process` goes back
    Path("shell").write_text(". .venv/bin/activate\n")
    followed = (site.follow(step, said_of(page, step)) for step in steps(page) if _is_run(page, step))
    wrong = [fault for fault in followed if fault]
    assert wrong == [], "\n".join(wrong)
