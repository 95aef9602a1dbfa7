"""The loader: from Kafka's topics into ClickHouse's tables, every record stored or in the dead letters."""

from causeline.sinks.loader.process import run_loader
from causeline.sinks.loader.settings import LoaderSettings

__all__ = ["LoaderSettings", "run_loader"]
