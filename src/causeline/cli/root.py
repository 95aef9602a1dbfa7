"""The root of all commands: it knows them by name, loads the one that is called, and shields it."""

from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
import typer.main
from typer.core import TyperGroup

from causeline.cli.commands import COMMANDS, Entry
from causeline.cli.shield import Shielded

_WIDTH_OF_MARGINS = 6


class Root(Shielded):
    """Lists its commands from `COMMANDS`; the errors of all of them end as `shield.explain` says."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = LazyCommands({entry.name: entry for entry in COMMANDS})

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, as they are to be listed."""
        return list(self.commands)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """A line for each command, without loading any."""
        limit = formatter.width - _WIDTH_OF_MARGINS - max(len(entry.name) for entry in COMMANDS)
        with formatter.section("Commands"):
            formatter.write_dl([(entry.name, _shortened(entry.help, limit)) for entry in COMMANDS])

    def shell_complete(self, ctx: Any, incomplete: str) -> list[Any]:
        """The names that begin so, without loading any command; then the options."""
        from typer._click.shell_completion import CompletionItem

        named = [entry for entry in COMMANDS if entry.name.startswith(incomplete)]
        items = [CompletionItem(entry.name, help=entry.help) for entry in named]
        return [*items, *super(TyperGroup, self).shell_complete(ctx, incomplete)]


class LazyCommands(MutableMapping[str, Any]):
    """Commands by name, each made when it is first asked for."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made:
            self._made.update(commands_of(self._entries[name].module))
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def commands_of(module: str) -> dict[str, Any]:
    """The commands that a module of `causeline.cli` registers, by name."""
    made = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
    import_module(f"causeline.cli.{module}").register(made)
    return dict(typer.main.get_group(made).commands)


def _shortened(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    return text[: limit - 3].rsplit(" ", 1)[0].rstrip(" ,;:") + "..."
