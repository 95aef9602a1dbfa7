"""A policy follows its file."""

import os
from pathlib import Path

import pytest

from causeline.runtime.policy_watch import PolicyWatch
from causeline.schemas.errors import UsageError
from causeline.schemas.policy import DEFAULT_POLICY


def write(path: Path, threshold: float, at_s: int) -> None:
    path.write_text(f"version = 1\n[defaults]\nthreshold = {threshold}\n", "utf-8")
    os.utime(path, (at_s, at_s))


def threshold_of(file: PolicyWatch) -> float:
    return file.current().rules("w").standard(None).threshold


def test_a_changed_file_is_read_anew_within_a_second_and_a_broken_one_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, now_s = tmp_path / "policy.toml", [100.0]
    write(path, 0.8, 1)
    file = PolicyWatch(path, now_s=lambda: now_s[0])
    write(path, 0.9, 2)
    assert threshold_of(file) == 0.8
    now_s[0] += 1
    assert threshold_of(file) == 0.9
    path.write_text("version = 7", "utf-8")
    now_s[0] += 1
    for _ in range(3):
        assert threshold_of(file) == 0.9
        now_s[0] += 1
    assert caplog.text.count("The policy stays as it was") == 1
    path.unlink()
    assert threshold_of(file) == 0.9


def test_without_a_file_the_built_in_policy_judges() -> None:
    assert PolicyWatch(None).current() is DEFAULT_POLICY


def test_a_file_that_is_not_there_at_the_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        PolicyWatch(tmp_path / "none.toml")
