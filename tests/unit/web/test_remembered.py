"""What many pages share: given while it is young, once more while it is asked for again, and then not at all."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from causeline.schemas.errors import Unreachable
from causeline.web.remembered import Known, Remembered


class Later(Executor):
    """Does what it is given when it is told to."""

    def __init__(self) -> None:
        self.waiting: list[Callable[[], Any]] = []

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **more: Any) -> Future[Any]:
        self.waiting.append(lambda: fn(*arguments, **more))
        return Future()

    def work(self) -> None:
        """Do all that waits."""
        while self.waiting:
            self.waiting.pop(0)()


class Scene:
    """Answers that are young for five seconds, two at most; `asked` are the keys that were asked for."""

    def __init__(self) -> None:
        self.now_s, self.later, self.asked = 0.0, Later(), list[str]()
        self.kept: Remembered[str, str] = Remembered(lambda: self.now_s, self.later, young_s=5, most=2)
        self.is_away = False

    def page(self, key: str = "a") -> str:
        """What a page shows."""
        known = self.kept.get(key, lambda: self.ask(key))
        return (known or self.kept.put(key, self.ask(key))).value

    def ask(self, key: str) -> str:
        self.asked.append(key)
        if self.is_away:
            raise Unreachable("The store is away.")
        return f"{key} at {self.now_s:.0f}"


def test_a_young_answer_is_not_asked_for_again() -> None:
    scene = Scene()
    scene.page()

    scene.now_s = 4
    assert scene.page() == "a at 0"
    scene.later.work()
    assert scene.asked == ["a"]


def test_an_older_one_is_given_once_more_and_asked_for_by_one_of_those_who_find_it() -> None:
    scene = Scene()
    scene.page()

    scene.now_s = 6
    assert [scene.page(), scene.page()] == ["a at 0", "a at 0"]
    assert scene.asked == ["a"], "no page waits"
    scene.later.work()
    assert scene.asked == ["a", "a"]
    assert scene.page() == "a at 6"


def test_one_that_is_too_old_is_waited_for() -> None:
    scene = Scene()
    scene.page()

    scene.now_s = 50
    assert scene.page() == "a at 50"
    assert not scene.later.waiting


def test_while_the_store_is_away_an_answer_stays_and_is_asked_for_again() -> None:
    scene = Scene()
    scene.page()
    scene.now_s, scene.is_away = 6, True
    scene.page()
    scene.later.work()

    scene.is_away = False
    assert scene.page() == "a at 0"
    scene.later.work()
    assert scene.page() == "a at 6"


def test_those_not_asked_for_longest_make_room_and_nothing_is_an_answer_too() -> None:
    scene = Scene()
    for key in ("a", "b", "a", "c"):
        scene.page(key)

    assert scene.kept.keys() == ["a", "c"]
    assert scene.kept.get("b", lambda: "") is None
    assert scene.kept.get("a", lambda: "") == Known("a at 0")
    nothing: Remembered[str, None] = Remembered(lambda: 0.0, scene.later, young_s=5, most=2)
    nothing.put("a", None)
    assert nothing.get("a", lambda: None) == Known(None)


def test_an_answer_that_is_the_same_leaves_the_object_that_is_kept_and_makes_it_young() -> None:
    now_s, later = [0.0], Later()
    kept: Remembered[str, list[int]] = Remembered(lambda: now_s[0], later, young_s=5, most=2)
    first = kept.put("a", [1])

    now_s[0] = 6
    assert kept.get("a", lambda: [1]) is first
    later.work()
    now_s[0] = 10
    assert kept.get("a", lambda: [2]) is first
    assert not later.waiting, "it is young again"
    assert kept.put("a", [2]).value == [2]
