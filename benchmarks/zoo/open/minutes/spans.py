"""LangChain's runs, as the kit has them, with this service's own attributes on the request."""

from collections.abc import Mapping

from benchmarks.zoo.open.kit.chains import Chains


class Service(Chains):
    """A request that makes minutes."""

    def finish(self, state: str, text: str, labels: Mapping[str, str]) -> None:
        super().finish(state, text, {})
        self._root.set_attribute("minutes.state", state)
        for name, value in labels.items():
            self._root.set_attribute(f"minutes.{name}", value)
