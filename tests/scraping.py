"""A scrape of the exporter as Prometheus reads it: the text that it sends, taken apart again."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from resources.settings import Settings
from serving.metrics import Exporter
from serving.service_commands import metric_parts

Numbers = Mapping[str, float]
"""`name{label="value"}`, with the labels sorted → number."""


def exporter(settings: Settings) -> Exporter:
    """As `kshift metrics` makes it; it may take its time on a busy machine."""
    return Exporter(metric_parts(settings), lambda _: None, patience=60)


def text_of(one: Exporter) -> str:
    """What is sent."""
    registry = CollectorRegistry()
    registry.register(one)
    return generate_latest(registry).decode()


def numbers_in(text: str) -> Numbers:
    """What it says."""
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def scrape(one: Exporter) -> Numbers:
    """One scrape, in which every part could be read."""
    numbers = numbers_in(text_of(one))
    assert {name for name, value in numbers.items() if name.startswith("kshift_scrape_ok") and value != 1} == set()
    return numbers
