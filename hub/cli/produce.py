"""`hub produce`: send one message to a Kafka topic, to try a project's Kafka trigger."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["produce"]


def produce(
    topic: Annotated[str, typer.Argument(help="The topic.")],
    value: Annotated[str, typer.Argument(help="The message, as JSON.")],
    key: Annotated[str | None, typer.Option(help="The message's key.")] = None,
    brokers: Annotated[
        str | None,
        typer.Option(
            envvar="HUB_KAFKA_BROKERS",
            help="Addresses to begin with, host:port; by default the broker of `hub dev`.",
        ),
    ] = None,
) -> None:
    """Send one message to a Kafka topic, by default on the broker of `hub dev`."""
    import asyncio
    import json

    from hub.cli.screen import console
    from hub.errors import WrongUsage
    from hub.settings import Settings

    try:
        json.loads(value)
    except ValueError as error:
        raise WrongUsage(f"the message is not JSON ({error})") from None
    where = brokers or f"127.0.0.1:{Settings.read().kafka_port}"
    place = asyncio.run(_send(where, topic, value.encode(), key))
    console().print(f"sent to {place}", markup=False, soft_wrap=True)


async def _send(brokers: str, topic: str, value: bytes, key: str | None) -> str:
    import asyncio

    from aiokafka.errors import KafkaError

    from hub.errors import Unreachable
    from hub.kafka import quiet_client, start_producer, stop_producer

    quiet_client()
    try:
        async with asyncio.timeout(10):
            producer = await start_producer(brokers, None)
    except (KafkaError, TimeoutError) as error:
        raise Unreachable(
            f"no Kafka broker answers at {brokers} ({error or 'no answer in time'}); "
            "is `hub dev` running, with a project that uses Kafka?"
        ) from None
    try:
        async with asyncio.timeout(10):
            sent = await producer.send_and_wait(topic, value, key=key.encode() if key else None)
    except (KafkaError, TimeoutError) as error:
        raise Unreachable(f"the message could not be sent to {topic}: {error}") from None
    finally:
        await stop_producer(producer)
    return f"{topic}, partition {sent.partition}, offset {sent.offset}"
