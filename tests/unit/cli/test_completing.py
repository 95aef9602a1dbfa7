"""Completion knows commands, run ids, workflows and questions, in the form of each shell; the rest is typer's."""

from collections.abc import Mapping

import pytest

from causeline.cli.completing import answer, ask_clickhouse, candidates, questions

RUN_1, RUN_2 = "0198c1" + "0" * 18 + "aaaa1111", "0198c1" + "0" * 18 + "bbbb2222"


def ask(query: str) -> list[list[str]]:
    return [["invoice", "12 runs"]] if query.startswith("SELECT workflow") else [[RUN_1, "first"], [RUN_2, "second"]]


def values(line: str) -> list[str] | None:
    *before, incomplete = line.split(" ")
    found = candidates(before, incomplete, ask)
    return None if found is None else [each.value for each in found]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("causeline stat", ["status"]),
        ("causeline nothing", []),
        ("causeline show ", ["aaaa1111", "bbbb2222"]),
        ("causeline why bb", ["bbbb2222"]),
        ("causeline why BB", ["bbbb2222"]),
        ("causeline show 0198", [RUN_1, RUN_2]),
        ("causeline show aaaa1111 b", ["bbbb2222"]),
        ("causeline eval export --run a", ["aaaa1111"]),
        ("causeline runs --workflow in", ["invoice"]),
        ("causeline runs -w x", []),
        ("causeline runs --li", None),
        ("causeline runs ", None),
        ("causeline show --state-dir ", None),
    ],
)
def test_what_is_offered(line: str, offered: list[str] | None) -> None:
    assert values(line) == offered


def test_questions_are_those_of_the_console() -> None:
    assert values("causeline sql @eval-") == ["@eval-chain"]
    assert len(questions()) == len(values("causeline sql @") or [])


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        ({"_CAUSELINE_COMPLETE": "complete_bash", "COMP_WORDS": "causeline show b", "COMP_CWORD": "2"}, "bbbb2222"),
        (
            {"_CAUSELINE_COMPLETE": "complete_bash", "COMP_WORDS": "causeline sql @ eval-", "COMP_CWORD": "3"},
            "eval-chain",
        ),
        (
            {"_CAUSELINE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "causeline show b"},
            '_arguments \'*: :(("bbbb2222":"second"))\'',
        ),
        ({"_CAUSELINE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "causeline show x"}, "_files"),
        ({"_CAUSELINE_COMPLETE": "complete_fish", "_TYPER_COMPLETE_ARGS": "causeline show b"}, "bbbb2222\tsecond"),
    ],
)
def test_each_shell_is_answered_in_its_own_form(environment: Mapping[str, str], text: str) -> None:
    assert answer(environment, ask) == (text, 0)


def test_what_a_workflow_is_called_cannot_run_in_a_shell() -> None:
    environment = {"_CAUSELINE_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": "causeline runs -w "}
    found = answer(environment, lambda _: [["a'$(rm x)`b\"", "1 runs"]])
    assert found is not None
    assert not set("$`") & set(found[0].removeprefix("_arguments '*: :((").removesuffix("))'"))
    assert "'" not in found[0].removeprefix("_arguments '").removesuffix("'")


def test_other_shells_and_options_are_left_to_typer() -> None:
    assert answer({"_CAUSELINE_COMPLETE": "complete_powershell"}, ask) is None
    assert answer({"_CAUSELINE_COMPLETE": "source_bash"}, ask) is None


def test_a_store_that_does_not_answer_offers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAUSELINE_CLICKHOUSE_URL", "http://x@127.0.0.1:1/y")
    assert ask_clickhouse("SELECT 1") == []
    monkeypatch.setenv("CAUSELINE_CLICKHOUSE_URL", "")
    monkeypatch.setenv("CAUSELINE_STATE_DIR", "/nonexistent")
    assert candidates(["causeline", "show"], "", ask_clickhouse) == []
