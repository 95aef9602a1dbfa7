"""Ports for services: different, free, and none that an outgoing connection may take."""

from pathlib import Path

import pytest

from causeline.stack import ports


def test_ports_are_different_free_and_not_those_of_outgoing_connections(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told = tmp_path / "range"
    told.write_text("32768\t60999\n")
    monkeypatch.setattr(ports, "_OUTGOING", told)

    found = ports.free_ports(20)
    assert len(set(found)) == 20
    assert all(20_000 <= port < 32_768 and ports.is_free(port) for port in found)
    assert not set(found) & set(ports.free_ports(20, but=found))


@pytest.mark.parametrize("text", ["", "1024\t65535\n", None])
def test_where_nothing_is_below_them_the_system_chooses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None
) -> None:
    told = tmp_path / "range"
    if text is not None:
        told.write_text(text)
    monkeypatch.setattr(ports, "_OUTGOING", told)

    assert len(set(ports.free_ports(5))) == 5
