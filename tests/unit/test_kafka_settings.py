from __future__ import annotations

import re
from typing import Any

import pytest

from hub.errors import InvalidDefinition
from hub.kafka import Security
from hub.routing.project import load_project
from triggers.kafka import Kafka, Settings


def faults(**settings: Any) -> list[str]:
    try:
        Kafka("orders", Settings(**settings))
    except InvalidDefinition as error:
        return [fault.path for fault in error.diagnostics]
    return []


@pytest.mark.parametrize(
    ("settings", "paths"),
    [
        ({"topic": "orders"}, []),
        ({"topics": ["a", "b"]}, []),
        ({"pattern": r"orders\..*"}, []),
        ({}, ["topic"]),
        ({"topic": "a", "pattern": "b"}, ["topic"]),
        ({"topic": "no spaces"}, ["topic"]),
        ({"topic": ".."}, ["topic"]),
        ({"topics": ["a", "b/c"]}, ["topics[1]"]),
        ({"pattern": "("}, ["pattern"]),
        ({"topic": "a", "dead_letter": "a"}, ["dead_letter"]),
        ({"pattern": "a.*", "dead_letter": "a-dead"}, ["dead_letter"]),
        ({"pattern": "a.*", "dead_letter": "dead-a"}, []),
        ({"topic": "a", "group": ""}, ["group"]),
        ({"topic": "a", "session_timeout": "soon"}, ["session_timeout"]),
        ({"topic": "a", "session_timeout": "1ms"}, ["session_timeout"]),
        ({"topic": "a", "brokers": "kafka:9092, other:9093"}, []),
        ({"topic": "a", "brokers": ["kafka:9092", "http://x"]}, ["brokers"]),
        ({"topic": "a", "brokers": "kafka:99999"}, ["brokers"]),
        ({"topic": "a", "brokers": ""}, ["brokers"]),
        ({"topic": "a", "id": "${{ valu.x }}"}, ["id"]),
        ({"topic": "a", "type": "${{ value. }}"}, ["type"]),
        ({"topic": "a", "security": Security(mechanism="PLAIN")}, ["security.mechanism"]),
        ({"topic": "a", "security": Security(username="x", password="y")}, ["security.username"]),
        ({"topic": "a", "security": Security(ca="x")}, ["security.tls"]),
        ({"topic": "a", "security": Security(tls=True, ca="no PEM")}, ["security.ca"]),
        ({"topic": "a", "security": Security(tls=True, certificate="x")}, ["security.certificate"]),
        ({"brokers": "x/y", "id": "${{ nope }}"}, ["topic", "brokers", "id"]),
    ],
)
def test_every_fault_is_named(settings: dict[str, Any], paths: list[str]) -> None:
    assert faults(**settings) == paths


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Kafka("orders", Settings(topic="a", id="${{ heders.x }}"))
    assert caught.value.diagnostics[0].suggestion == "did you mean 'headers'?"


@pytest.mark.parametrize(
    ("settings", "topic", "matches"),
    [
        ({"topic": "a.b"}, "a.b", True),
        ({"topic": "a.b"}, "aXb", False),
        ({"topic": "a"}, "ab", False),
        ({"topics": ["a", "b"]}, "b", True),
        ({"topics": ["a", "b"]}, "ab", False),
        ({"pattern": "a|b"}, "ab", False),
        ({"pattern": "a|b"}, "b", True),
        ({"pattern": "orders-.*"}, "orders-x", True),
        ({"pattern": "orders"}, "my-orders", False),
    ],
)
def test_a_topic_is_read_when_its_whole_name_matches(
    settings: dict[str, Any], topic: str, matches: bool
) -> None:
    assert bool(re.match(Settings(**settings).subscription, topic)) is matches


def test_no_secret_is_shown() -> None:
    security = Security(mechanism="PLAIN", username="u", password="pl4nted/secret+value")
    assert "pl4nted" not in repr(Settings(topic="a", security=security))


def test_a_process_may_lay_its_own_brokers_over_the_projects(tmp_path: Any) -> None:
    (tmp_path / "hub.yaml").write_text(
        """
triggers:
  orders:
    kafka:
      topic: orders
      brokers: ${{ env.BROKERS }}
      security: {mechanism: PLAIN, username: hub, password: "${{ env.PASSWORD }}"}
"""
    )
    overrides = {"kafka": {"brokers": "127.0.0.1:9092", "security": None}}
    project = load_project(tmp_path, {}, overrides=overrides)
    assert project.diagnostics == []
    settings = project.triggers["orders"].settings
    assert (settings.brokers, settings.security) == ("127.0.0.1:9092", None)
