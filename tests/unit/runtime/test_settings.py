"""Settings: every class of them keeps the same rules, and no variable of one is a mistake to another."""

from pathlib import Path

import pytest

from causeline.producers.emitter.settings import EmitterSettings
from causeline.runtime.settings import ListenerSettings, Settings
from causeline.runtime.variables import FAMILIES, SINGLE
from causeline.schemas.errors import UsageError
from causeline.stack.clickhouse.settings import ServerSettings
from tests.contract.settings_table import GROUPS, descriptions

CLASSES = [model for _, model in GROUPS]
NEEDED = {"CAUSELINE_ENGINE_PATH": "/x", "CAUSELINE_ENGINE_PASSWORD_FILE": "/y"}
"""What has no default: the embedded server's place, which its supervisor says."""

each_class = pytest.mark.parametrize("model", CLASSES, ids=lambda model: model.__name__)


def every_class(root: type[Settings] = Settings) -> set[type[Settings]]:
    return {root}.union(*(every_class(each) for each in root.__subclasses__()))


def variables(model: type[Settings]) -> list[str]:
    return [variable for names in model.variables().values() for variable in names]


def test_every_class_of_settings_is_held_to_the_rules() -> None:
    named = {each for each in every_class() if "prefix" in vars(each) and each.__module__.startswith("causeline.")}
    assert named == set(CLASSES)


@each_class
def test_a_variable_that_nothing_reads_is_refused_with_the_nearest_there_is(model: type[Settings]) -> None:
    known = next(each for each in variables(model) if each.startswith(model.prefix))
    mistyped = known[:-1] + "Q" + known[-1]
    with pytest.raises(UsageError) as caught:
        model.from_environment({**NEEDED, mistyped: "5"})
    assert caught.value.message == f"{mistyped} is not a setting."
    assert f"Did you mean {known}?" in str(caught.value.hint)


def test_the_nearest_name_is_the_one_that_was_meant() -> None:
    with pytest.raises(UsageError) as caught:
        EmitterSettings.from_environment({"CAUSELINE_EMITTER_BUFER_EVENTS": "5"})
    assert "Did you mean CAUSELINE_EMITTER_BUFFER_EVENTS?" in str(caught.value.hint)


@each_class
def test_an_empty_variable_counts_as_unset(model: type[Settings]) -> None:
    empty = dict.fromkeys(variables(model), "")
    assert model.from_environment({**empty, **NEEDED}) == model.from_environment(NEEDED)


@each_class
def test_what_another_part_reads_is_no_mistake(model: type[Settings]) -> None:
    others = {variable for other in CLASSES for variable in variables(other)} | {each.name for each in SINGLE}
    model._refuse_unknown(dict.fromkeys(others - set(variables(model)), "x"))


@each_class
def test_every_setting_is_described(model: type[Settings]) -> None:
    assert set(descriptions(model)) >= set(model.variables())


def test_every_family_is_a_part_s_own() -> None:
    tooling = {"CAUSELINE_BENCHMARKS_", "CAUSELINE_FAULTS_", "CAUSELINE_FUZZ_", "CAUSELINE_TEST_"}
    assert set(FAMILIES) == {model.prefix for model in CLASSES} - {"CAUSELINE_"} | tooling


def test_a_secret_comes_from_a_file_and_is_named_where_it_cannot(tmp_path: Path) -> None:
    class Part(ListenerSettings):
        prefix = "CAUSELINE_PART_"

    (tmp_path / "token").write_text("s3cret\n")
    assert Part.from_environment({"CAUSELINE_PART_TOKEN_FILE": str(tmp_path / "token")}).secret() == "s3cret"
    (tmp_path / "token").write_text("\n")
    assert Part.from_environment({"CAUSELINE_PART_TOKEN_FILE": str(tmp_path / "token")}).secret() is None
    (tmp_path / "token").write_bytes(b"\xff")
    for broken in (tmp_path / "none", tmp_path / "token"):
        with pytest.raises(UsageError, match=r"^CAUSELINE_PART_TOKEN_FILE "):
            Part.from_environment({"CAUSELINE_PART_TOKEN_FILE": str(broken)})


@pytest.mark.parametrize("text", ["a,b", " a , b ,", '["a", "b"]'])
def test_a_list_is_json_or_joined_by_commas(text: str) -> None:
    class Part(Settings):
        prefix = "CAUSELINE_PART_"
        names: tuple[str, ...] = ()

    assert Part.from_environment({"CAUSELINE_PART_NAMES": text}).names == ("a", "b")
    with pytest.raises(UsageError, match=r"^CAUSELINE_PART_NAMES: "):
        Part.from_environment({"CAUSELINE_PART_NAMES": '["a"'})


def test_what_was_chosen_wins_and_what_was_not_is_read() -> None:
    settings = ServerSettings.from_environment(
        {**NEEDED, "CAUSELINE_ENGINE_PORT": "1"}, server_port=2, server_host=None
    )
    assert (settings.server_port, settings.server_host) == (2, "127.0.0.1")
