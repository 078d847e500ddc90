"""docker-compose.yml, the Dockerfile and the Helm chart, as far as they can be checked by reading."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from ruamel.yaml import YAML

from hub.cli.app import app
from hub.settings import Settings
from tests.helm import find_helm

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "event-hub"
SETTINGS = {f"HUB_{field.name.upper()}" for field in msgspec.structs.fields(Settings)}
COMMANDS = {command.name for command in app.registered_commands}


def read(path: Path) -> Any:
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = False
    return yaml.load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def compose() -> Any:
    return read(ROOT / "docker-compose.yml")


def test_the_compose_file_is_one(compose: Any) -> None:
    schema = json.loads((ROOT / "tests/schemas/compose-spec.json").read_text())
    problems = [
        f"{'/'.join(map(str, one.instance_path))}: {one.message}"
        for one in jsonschema_rs.validator_for(schema).iter_errors(compose)
    ]
    assert problems == []


def test_images_are_pinned_and_services_are_watched(compose: Any) -> None:
    for name, service in compose["services"].items():
        _, _, tag = service["image"].rpartition(":")
        assert re.match(r"v?\d+\.\d+|\$\{HUB_VERSION:-\d", service["image"].partition(":")[2]), name
        assert tag != "latest"
        ends = service.get("restart") == "on-failure:10"
        assert ends or "healthcheck" in service or name == "temporal-page", name
        for other, how in service.get("depends_on", {}).items():
            awaited = compose["services"][other]
            if how["condition"] == "service_healthy":
                assert "healthcheck" in awaited, f"{name} waits for {other}"
            else:
                assert awaited["restart"] == "on-failure:10", f"{name} waits for {other}"


def test_the_hubs_containers_are_told_what_the_hub_knows(compose: Any) -> None:
    version = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.M)
    assert version is not None
    for name in ("serve", "worker", "consume", "apply"):
        service = compose["services"][name]
        assert service["image"] == f"event-hub:${{HUB_VERSION:-{version[1]}}}"
        assert service["command"] == [name, "/project"]
        assert name in COMMANDS
        told = {key for key in service["environment"] if key.startswith("HUB_")}
        assert told <= SETTINGS
        assert {"HUB_JOURNAL_URL", "HUB_SECRET_KEY"} <= told
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        # It must be left alone for longer than it takes to drain.
        assert service["stop_grace_period"] == "50s"
        assert service["environment"]["HUB_DRAIN_TIMEOUT"] == "30s"


def test_what_is_mounted_is_there(compose: Any) -> None:
    observed = {
        "./deploy/prometheus",
        "./deploy/grafana/provisioning",
        "./deploy/grafana/dashboards",
    }
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0].replace("${HUB_PROJECT", "./examples")
            if source.startswith("./") and source not in observed:
                assert (ROOT / source).exists(), source
    variables = set(re.findall(r"\$\{([A-Z_]+):\?", (ROOT / "docker-compose.yml").read_text()))
    example = (ROOT / ".env.example").read_text()
    assert variables <= set(re.findall(r"^([A-Z_]+)=", example, re.M))


def test_the_image_copies_what_the_build_needs() -> None:
    text = (ROOT / "deploy/Dockerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.M):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
    packages = re.search(r"packages = \[(.*)\]", (ROOT / "pyproject.toml").read_text())
    assert packages is not None
    for package in re.findall(r'"(\w+)"', packages[1]):
        assert f"COPY {package} {package}" in text
        assert f"!{package}" in (ROOT / ".dockerignore").read_text().splitlines()
    assert "USER 10001" in text
    assert all(re.search(r":\d+\.\d+", image) for image in re.findall(r"^FROM (\S+)", text, re.M))
    # The lock's versions as constraints: each package once, without its hashes.
    script = re.search(r"RUN (sed -n '.*?') requirements.lock", text)
    assert script is not None
    made = subprocess.run(
        ["sh", "-c", f"{script[1]} requirements.lock"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    lock = (ROOT / "requirements.lock").read_text()
    assert len(made) == len(re.findall(r"^[\w.-]+==", lock, re.M)) > 50
    assert not any("\\" in line or "--hash" in line for line in made)


def test_the_charts_values_fit_their_schema_and_its_templates() -> None:
    values = read(CHART / "values.yaml")
    schema = json.loads((CHART / "values.schema.json").read_text())
    validator = jsonschema_rs.validator_for(schema)
    assert [one.message for one in validator.iter_errors(values)] == []
    assert not validator.is_valid({**values, "baseURL": "x"})
    assert not validator.is_valid({**values, "temporal": {"address": "https://x"}})
    assert set(schema["properties"]) - {"global"} == set(values)
    used = set()
    for template in (CHART / "templates").iterdir():
        used |= set(re.findall(r"\.Values\.([A-Za-z.]+)", template.read_text()))
    for path in used:
        found: Any = values
        for part in path.split("."):
            assert part in found, path
            found = found[part]
    helpers = (CHART / "templates/_helpers.tpl").read_text()
    assert set(re.findall(r"\bHUB_[A-Z_]+", helpers)) <= SETTINGS
    chart = read(CHART / "Chart.yaml")
    assert f'version = "{chart["appVersion"]}"' in (ROOT / "pyproject.toml").read_text()


EVERYTHING = {
    "image": {"repository": "registry.example.com/hub", "digest": f"sha256:{'0' * 64}"},
    "project": {"configMaps": {"root": "shop", "trees": "shop-trees", "templates": "shop-mails"}},
    "allowedHosts": ["hub.internal"],
    "secrets": {"hub": "hub", "project": "shop"},
    "temporal": {
        "address": "shop.a1b2c.tmprl.cloud:7233",
        "namespace": "shop.a1b2c",
        "tlsSecret": "temporal-mtls",
        "privateAuthority": True,
        "serverName": "temporal",
    },
    "kafka": {"brokers": "kafka-0:9092,kafka-1:9092"},
    "api": {"autoscaling": {"enabled": True}},
    "worker": {"autoscaling": {"enabled": True}},
    "consumer": {"autoscaling": {"enabled": True}},
    "ingress": {"enabled": True, "className": "nginx", "tlsSecret": "hub-tls"},
    "networkPolicy": {
        "ingressFrom": [{"namespaceSelector": {}}],
        "metricsFrom": [{"podSelector": {}}],
    },
    "podAnnotations": {"team": "shop"},
    "extraEnv": [{"name": "TZ", "value": "UTC"}],
}


@pytest.mark.parametrize("more", [{}, EVERYTHING, {"consumer": {"replicas": 0}}])
def test_helm_lints_and_renders_the_chart(tmp_path: Path, more: dict[str, Any]) -> None:
    helm = find_helm()
    if helm is None:
        pytest.skip("no helm on the PATH or in the cache; `python -m tests.helm` builds it with Go")
    values = tmp_path / "values.json"
    values.write_text(json.dumps(more))
    linted = subprocess.run(
        [helm, "lint", "--strict", CHART, "-f", values], capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr
    # One that is built from source does not know which Kubernetes it is for.
    rendered = subprocess.run(
        [helm, "template", "shop", CHART, "-f", values, "--kube-version", "1.31.0"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rendered.returncode == 0, rendered.stderr
    yaml = YAML(typ="safe", pure=True)
    objects = [one for one in yaml.load_all(rendered.stdout) if one]
    kinds = [one["kind"] for one in objects]
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]
        for one in objects
        if one["kind"] in ("Deployment", "Job")
    }
    assert kinds.count("Deployment") == (2 if more == {"consumer": {"replicas": 0}} else 3)
    for name, pod in pods.items():
        _check_pod(name, pod)
    assert kinds.count("NetworkPolicy") == 2
    assert kinds.count("ScaledObject") == (2 if more is EVERYTHING else 0)
    secrets = [one for one in objects if one["kind"] == "Secret"]
    assert secrets == []


def _check_pod(name: str, pod: dict[str, Any]) -> None:
    spec = pod["spec"]
    (container,) = spec["containers"]
    command, path = container["args"]
    assert (command in COMMANDS, path) == (True, "/project"), name
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    told = {variable["name"] for variable in container["env"]}
    assert {one for one in told if one.startswith("HUB_")} <= SETTINGS
    assert len(told) == len(container["env"]), "a variable is told twice"
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}
    if command == "apply":
        assert spec["restartPolicy"] == "Never"
        return
    ports = {port["name"] for port in container["ports"]}
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["httpGet"]["port"] in ports
    assert spec["terminationGracePeriodSeconds"] == 55


def test_helm_refuses_values_that_the_chart_does_not_know(tmp_path: Path) -> None:
    helm = find_helm()
    if helm is None:
        pytest.skip("no helm on the PATH or in the cache; `python -m tests.helm` builds it with Go")
    done = subprocess.run(
        [helm, "template", "shop", CHART, "--set", "api.replica=3"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "replica" in done.stderr


def test_shell_scripts_of_the_compose_file_are_shell() -> None:
    shell = shutil.which("sh")
    assert shell is not None
    for script in (ROOT / "deploy/compose").glob("*.sh"):
        done = subprocess.run([shell, "-n", script], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
