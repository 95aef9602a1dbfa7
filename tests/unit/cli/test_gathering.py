"""The demo waits for what it published as long as more of it comes."""

from causeline.cli.gathering import Numbers, gathered


class Arriving:
    """One look after the other, and a clock that goes on while it is paused."""

    def __init__(self, *looks: Numbers) -> None:
        self.looks, self.now = list(looks), 0.0

    def look(self) -> Numbers:
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def gathered(self, wanted: Numbers, patience_s: float) -> Numbers:
        return gathered(
            self.look, wanted, label="arriving", patience_s=patience_s, now_s=lambda: self.now, pause=self.pause
        )


def test_it_ends_when_all_is_there_or_more() -> None:
    arriving = Arriving((0, 0), (5, 1), (5, 3))

    assert arriving.gathered((5, 2), patience_s=60) == (5, 3)
    assert arriving.now == 1.0


def test_it_ends_when_nothing_has_moved_for_as_long_as_its_patience() -> None:
    arriving = Arriving((0, 0), (1, 0))

    assert arriving.gathered((5, 2), patience_s=2) == (1, 0)
    assert arriving.now == 0.5 + 2.5, "patience begins anew with what came last"
