"""A Kafka for the tests: Apache Kafka in a container where Docker answers, else its own server jars
from Maven Central run by Java, else the embedded broker. Which one it was is said at the end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import uuid
import warnings
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from hub.dev.broker import Broker
from hub.errors import HubError
from hub.kafka import quiet_client
from hub.ports import find_free

VERSION = "4.1.1"
USER, PASSWORD = "hub", "pl4nted/secret+value"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "event-hub"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>tests</groupId><artifactId>kafka</artifactId><version>1</version><dependencies><dependency>
<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version>
</dependency></dependencies></project>"""

used: list[str] = []
"""What the tests of this session ran on."""


class KafkaServer(ABC):
    """One broker. It is shared, so a test makes its own topics and groups, and leaves it running."""

    is_apache: ClassVar[bool]
    address: str
    sasl_address: str | None = None
    """Where one must log in as `USER` with `PASSWORD`, by PLAIN or SCRAM."""
    tls_address: str | None = None
    ca: str = ""
    """The certificate of the TLS listener, as PEM text."""

    @property
    @abstractmethod
    def what(self) -> str:
        """What it is, for people."""

    @abstractmethod
    async def start(self) -> None:
        """Start it, with all that it held where it can keep things; returns when it answers."""

    @abstractmethod
    async def stop(self, *, kill: bool = False) -> None:
        """Stop it, or kill it without a warning."""

    async def topic(self, partitions: int = 1, *, name: str | None = None) -> str:
        """A new topic."""
        name = name or f"t-{uuid.uuid4().hex[:12]}"
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        try:
            await admin.start()
            # One of that name may still be on its way out.
            async with asyncio.timeout(30):
                while True:
                    answer = await admin.create_topics([NewTopic(name, partitions, 1)])
                    if not any(error for _, error, *_ in answer.topic_errors):
                        return name
                    await asyncio.sleep(0.05)
        finally:
            await admin.close()

    async def delete_topic(self, name: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
        try:
            await admin.start()
            await admin.delete_topics([name])
        finally:
            await admin.close()

    async def send(self, topic: str, *messages: Any, **options: Any) -> None:
        """Send messages: each a value, or a mapping of `value`, `key`, `headers`, `partition`."""
        producer = AIOKafkaProducer(bootstrap_servers=self.address, **options)
        await producer.start()
        try:
            sent = []
            for message in messages:
                fields = message if isinstance(message, dict) else {"value": message}
                sent.append(await producer.send(topic, **fields))
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def read(self, topic: str, count: int) -> Sequence[Any]:
        """The first messages of a topic."""
        consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=self.address, auto_offset_reset="earliest"
        )
        await consumer.start()
        found: list[Any] = []
        try:
            async with asyncio.timeout(20):
                while len(found) < count:
                    for messages in (await consumer.getmany(timeout_ms=200)).values():
                        found += messages
        finally:
            await consumer.stop()
        return found

    async def committed(self, group: str, topic: str) -> dict[int, int | None]:
        """What the group has committed, by partition."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.address, group_id=group, enable_auto_commit=False
        )
        await consumer.start()
        try:
            cluster = await consumer._client.fetch_all_metadata()
            partitions = sorted(cluster.partitions_for_topic(topic))
            consumer.assign([TopicPartition(topic, one) for one in partitions])
            return {one: await consumer.committed(TopicPartition(topic, one)) for one in partitions}
        finally:
            await consumer.stop()

    async def _answers(self, patience: float, alive: Any = None) -> None:
        deadline = asyncio.get_running_loop().time() + patience
        while True:
            host, _, port = self.address.rpartition(":")
            try:
                _, writer = await asyncio.open_connection(host, int(port))
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()
                admin = AIOKafkaAdminClient(bootstrap_servers=self.address)
                try:
                    await admin.start()
                    await admin.list_topics()
                    return
                finally:
                    await admin.close()
            except (KafkaError, OSError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
                if alive is not None and not alive():
                    raise
                await asyncio.sleep(0.05)


class JavaServer(KafkaServer):
    """Apache Kafka's own server, run by Java in KRaft mode, one node."""

    is_apache = True

    def __init__(self, jars: Path, folder: Path) -> None:
        self._jars = jars
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        plain, sasl, tls, controller = (find_free() for _ in range(4))
        self.address = f"127.0.0.1:{plain}"
        self.sasl_address = f"127.0.0.1:{sasl}"
        self.tls_address = f"127.0.0.1:{tls}"
        self._controller = f"127.0.0.1:{controller}"
        self._config = folder / "server.properties"
        self.ca, keystore = _certificate()
        (folder / "server.pem").write_text(keystore)
        self._config.write_text(self._properties())
        self._java(
            "kafka.tools.StorageTool",
            *("format", "-t", "4L6g3nShT-eMCtK--X86sw", "-c", str(self._config)),
            *("--add-scram", f"SCRAM-SHA-256=[name={USER},password={PASSWORD}]"),
            *("--add-scram", f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"),
        )

    @property
    def what(self) -> str:
        return f"Apache Kafka {VERSION} (its own jars, run by Java)"

    async def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                ["java", *self._options(), "kafka.Kafka", str(self._config)],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self._process
        await self._answers(60, lambda: process.poll() is None)

    async def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                await asyncio.to_thread(process.wait, 30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _options(self) -> list[str]:
        return [
            *("-Xmx384m", "-Xms64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            *("-cp", f"{self._jars}/*"),
        ]

    def _java(self, *command: str) -> None:
        done = subprocess.run(
            ["java", *self._options(), *command],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def _properties(self) -> str:
        login = "org.apache.kafka.common.security"
        return f"""
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{self._controller}
controller.listener.names=CONTROLLER
listeners=PLAIN://{self.address},SASL://{self.sasl_address},TLS://{self.tls_address},CONTROLLER://{self._controller}
advertised.listeners=PLAIN://{self.address},SASL://{self.sasl_address},TLS://{self.tls_address}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL
inter.broker.listener.name=PLAIN
listener.name.sasl.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config={login}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";
listener.name.sasl.scram-sha-256.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={self._folder}/server.pem
log.dirs={self._folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=2
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
auto.create.topics.enable=false
"""


class ContainerServer(KafkaServer):
    """Apache Kafka in a container, by testcontainers."""

    is_apache = True

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from testcontainers.core.container import DockerContainer
        port = find_free()
        self.address = f"127.0.0.1:{port}"
        listeners = (
            f"PLAINTEXT://0.0.0.0:{port},BROKER://localhost:19092,CONTROLLER://localhost:9093"
        )
        settings = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENERS": listeners,
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{self.address},BROKER://localhost:19092",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "BROKER",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,BROKER:PLAINTEXT,"
            "PLAINTEXT:PLAINTEXT",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "500",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_HEAP_OPTS": "-Xmx384m -Xms64m",
        }
        self._container = DockerContainer(f"apache/kafka:{VERSION}").with_bind_ports(port, port)
        for name, value in settings.items():
            self._container.with_env(name, value)
        self._made = False

    @property
    def what(self) -> str:
        return f"Apache Kafka {VERSION} (in a container)"

    async def start(self) -> None:
        if self._made:
            await asyncio.to_thread(self._container.get_wrapped_container().start)
        else:
            await asyncio.to_thread(self._container.start)
            self._made = True
        await self._answers(120)

    async def stop(self, *, kill: bool = False) -> None:
        wrapped = self._container.get_wrapped_container()
        await asyncio.to_thread(wrapped.kill if kill else wrapped.stop)

    async def remove(self) -> None:
        await asyncio.to_thread(self._container.stop)


class EmbeddedServer(KafkaServer):
    """The broker of `hub dev`, where there is nothing better. It forgets all when it stops."""

    is_apache = False

    def __init__(self) -> None:
        self._broker = Broker()

    @property
    def what(self) -> str:
        return "the embedded broker: neither Docker nor Java with Maven is here"

    async def start(self) -> None:
        await self._broker.start()
        self.address = self._broker.address

    async def stop(self, *, kill: bool = False) -> None:
        await self._broker.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka() -> AsyncIterator[KafkaServer]:
    """The session's broker, started when the first test asks for it."""
    quiet_client()
    folder = Path(tempfile.mkdtemp(prefix="hub-kafka-"))
    server = await asyncio.to_thread(choose, folder)
    used.append(server.what)
    try:
        await server.start()
        yield server
    finally:
        await server.stop(kill=True)
        if isinstance(server, ContainerServer):
            await server.remove()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def apache_kafka(kafka: KafkaServer) -> KafkaServer:
    """The session's broker, where it is Apache Kafka."""
    if not kafka.is_apache:
        pytest.skip("needs Apache Kafka (Docker, or Java and Maven), and there is none")
    return kafka


def summarise(terminal: Any) -> None:
    """Say at the end of a session what the Kafka tests ran on."""
    for what in dict.fromkeys(used):
        terminal.write_line(f"Kafka tests ran on {what}")


def choose(folder: Path) -> KafkaServer:
    wanted = os.environ.get("HUB_TEST_KAFKA", "")
    if wanted in ("", "docker") and _docker_answers():
        return ContainerServer()
    if wanted in ("", "java") and (jars := _jars()) is not None:
        return JavaServer(jars, folder)
    try:
        return EmbeddedServer()
    except HubError as error:
        pytest.skip(f"no Kafka: no Docker, no Java with Maven, and {error.message}")


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run([docker, "info"], capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _jars() -> Path | None:
    """Apache Kafka's jars, fetched once by Maven; None without Java 17, Maven or a repository."""
    java = shutil.which("java")
    if java is None or not _is_recent(java):
        return None
    folder = _CACHE / f"kafka-{VERSION}"
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        return None
    # Another session may be at it: each fetches into its own folder, and one of them is kept.
    _CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=_CACHE) as temporary:
        pom = Path(temporary) / "pom.xml"
        pom.write_text(_POM)
        jars = Path(temporary) / "jars"
        command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        command += ["-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            return None
        if done.returncode != 0:
            sys.stderr.write(f"Maven does not fetch Apache Kafka:\n{done.stdout[-2000:]}\n")
            return None
        with suppress(OSError):
            jars.rename(folder)
    return folder


def _is_recent(java: str) -> bool:
    done = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = done.stderr.partition('"')[2].partition(".")[0].partition('"')[0]
    return version.isdecimal() and int(version) >= 17


def _certificate() -> tuple[str, str]:
    """A certificate for 127.0.0.1 that vouches for itself, and the keystore with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    pem = made.public_bytes(Encoding.PEM).decode()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return pem, secret + pem
