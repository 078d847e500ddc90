"""Kafka: events that are messages of topics, read as a member of a consumer group."""

from triggers.kafka.kafka import Kafka
from triggers.kafka.settings import Settings

__all__ = ["Kafka", "Settings"]
