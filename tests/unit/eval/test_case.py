"""An eval case is one readable file: ids follow from causes, and what cannot be meant is told."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import causeline.eval
from causeline.eval.case import EvalCase, as_yaml, case_id, content_hash, read_case
from causeline.eval.folder import case_by_id, case_files, keep
from causeline.eval.output_schema import read_schema
from causeline.schemas.errors import NotFound, UsageError

SHA = "ab" * 32


def case(**said: Any) -> EvalCase:
    return EvalCase.model_validate(
        {
            "version": 1,
            "id": case_id("w", "mask", "$.total"),
            "workflow": "w",
            "input_ref": f"artifact:sha256/{SHA[:2]}/{SHA[2:]}",
            "expect": {"route": "motor", "supported": ["$.total"]},
            "first_cause": {"boundary": "mask", "rule": "masked_source", "field": "$.total", "headline": "Gone."},
            "runs": ["0" * 31 + "1"],
            **said,
        }
    )


def test_the_same_cause_is_the_same_id_and_another_is_another() -> None:
    ids = {
        case_id(*cause)
        for cause in [("w", "mask", "$.total"), ("w", "mask", "$.a.b"), ("w", "mask", "$.a-b"), ("w", "parse", None)]
    }
    assert len(ids) == 4
    assert case_id("w", "mask", "$.total") == case_id("w", "mask", "$.total")
    assert case_id("Grüne Karte", "parse", None).startswith("gr-ne-karte-parse-")


def test_a_file_reads_back_as_the_case_and_the_same_case_is_the_same_text(tmp_path: Path) -> None:
    one = case(note="Seen after the move to the new scanner: ü.", anchors={"prompt_version": "7"})
    file = tmp_path / "case.yaml"
    file.write_text(as_yaml(one), "utf-8")
    assert read_case(file) == one
    assert as_yaml(read_case(file)) == file.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "is no YAML at line 1"),
        ("- 1", "the case: Input should be"),
        (as_yaml(case()) + "surprise: 1\n", "surprise: Extra inputs are not permitted"),
        (as_yaml(case()).replace("route: motor", "route: ''"), "expect.route"),
        (as_yaml(case()).replace("version: 1\n", ""), "version: Field required"),
        ("version: 1\nid: UPPER\n", "id: String should match"),
    ],
)
def test_what_is_no_case_is_told_with_its_file_and_first_fault(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "case.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError) as told:
        read_case(file)
    assert str(file) in told.value.message
    assert says in told.value.message


def test_exporting_twice_changes_nothing_and_another_run_is_added(tmp_path: Path) -> None:
    assert keep(tmp_path, [case()]) == {case().id: "new"}
    text = (tmp_path / f"{case().id}.yaml").read_text("utf-8")
    assert keep(tmp_path, [case()]) == {case().id: "same"}
    assert (tmp_path / f"{case().id}.yaml").read_text("utf-8") == text
    assert keep(tmp_path, [case(runs=["0" * 31 + "2"], note="another")]) == {case().id: "more runs"}
    (found,) = case_files(tmp_path)
    assert found.case is not None
    assert (len(found.case.runs), found.case.note) == (2, "")


def test_what_people_write_stays(tmp_path: Path) -> None:
    file = tmp_path / f"{case().id}.yaml"
    file.write_text(as_yaml(case(note="Ask Kim.", expect={"route": "home"})), "utf-8")
    keep(tmp_path, [case(runs=["0" * 31 + "2"])])
    now = read_case(file)
    assert (now.note, now.expect.route, len(now.runs)) == ("Ask Kim.", "home", 2)


def test_a_file_that_was_renamed_is_still_the_same_case(tmp_path: Path) -> None:
    (tmp_path / "premium").mkdir()
    file = tmp_path / "premium" / "the-scanner.yml"
    file.write_text(as_yaml(case()), "utf-8")
    assert keep(tmp_path, [case(runs=["0" * 31 + "2"])]) == {case().id: "more runs"}
    assert [each.file for each in case_files(tmp_path)] == [file]


def test_a_bad_file_and_an_id_of_two_files_stop_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(as_yaml(case()), "utf-8")
    (tmp_path / "b.yml").write_text(as_yaml(case()), "utf-8")
    (tmp_path / "c.yaml").write_text("nonsense", "utf-8")
    found = case_files(tmp_path)
    assert [each.case is not None for each in found] == [True, False, False]
    assert "is that of" in (found[2].problem or "") or "is that of" in (found[1].problem or "")
    with pytest.raises(UsageError, match="There is no folder"):
        case_files(tmp_path / "none")


def test_a_case_is_found_by_the_beginning_of_its_id(tmp_path: Path) -> None:
    keep(tmp_path, [case(), case(id="other")])
    assert case_by_id(tmp_path, "w-mask").case == case()
    with pytest.raises(NotFound, match="No case begins"):
        case_by_id(tmp_path, "zzz")
    with pytest.raises(NotFound, match="Several cases begin"):
        case_by_id(tmp_path, "")


def test_the_published_schema_is_the_models_and_takes_what_it_takes() -> None:
    file = Path(causeline.eval.__file__).parent / "case.schema.json"
    schema = json.loads(file.read_text("utf-8"))
    assert schema == EvalCase.model_json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(yaml.safe_load(as_yaml(case())))
    assert not validator.is_valid({**yaml.safe_load(as_yaml(case())), "surprise": 1})


def test_the_hash_in_a_reference_is_its_contents() -> None:
    assert content_hash(case().input_ref + "#page=2") == SHA
    assert content_hash("https://example.org/doc") is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[" * 100_000, "nested too deeply"),
        ("a: &x [1]\nb: *x\n", "has an alias"),
        ("a: " + "x" * (1 << 20), "larger than"),
    ],
)
def test_a_file_that_would_cost_more_than_a_case_is_told(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "case.yaml"
    file.write_text(text, "utf-8")

    with pytest.raises(UsageError, match=says):
        read_case(file)


@pytest.mark.parametrize("name", ["../secret.json", "/etc/hostname", "sub/../../secret.json", "link.json"])
def test_a_cases_schema_lies_in_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    (tmp_path / "secret.json").write_text("{}", "utf-8")
    (folder / "link.json").symlink_to(tmp_path / "secret.json")
    asked = case(expect={"output_schema": {"file": name, "sha256": SHA}})

    with pytest.raises(UsageError, match="not within the case's folder"):
        read_schema(asked, folder)
