"""The cluster files are ones that Ray's launcher takes, and open nothing to the world."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import ValidationError

ROOT = Path(__file__).parents[2]
FILES = ("cluster.yaml", "clusters/on-premises.yaml")


def read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return loaded


@pytest.fixture(params=FILES)
def cluster(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read(request.param)


def test_rays_own_validator_takes_it(
    cluster: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    monkeypatch.setenv("HOME", str(tmp_path))
    validate_config(prepare_config(cluster))
    with pytest.raises(ValidationError, match="max_worker"):
        validate_config(prepare_config({**cluster, "max_worker": 3}))


def test_every_ray_is_started_with_a_token_a_private_dashboard_and_room_for_files(
    cluster: dict[str, Any],
) -> None:
    commands = cluster["head_start_ray_commands"] + cluster["worker_start_ray_commands"]
    starts = [command for command in commands if "ray start" in command]
    assert len(starts) == 2
    for start in starts:
        assert start.startswith("ulimit -n 65536; RAY_AUTH_MODE=token ")
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_the_token_goes_along_and_no_other_secret_does(cluster: dict[str, Any]) -> None:
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    kept_back = set(cluster["rsync_exclude"])
    assert {"**/.env*", "**/*.pem", "**/*.key", "**/.git", "**/runs", "**/mlruns"} <= kept_back
    text = yaml.safe_dump(cluster)
    for word in ("AKIA", "SECRET", "PASSWORD", "password"):
        assert word not in text


def test_the_locked_environment_is_installed(cluster: dict[str, Any]) -> None:
    assert "cd ~/norm-sweep && make install" in cluster["setup_commands"]


def test_workers_scale_from_zero_and_go() -> None:
    cluster = read("cluster.yaml")
    worker = cluster["available_node_types"]["gpu_worker"]
    assert worker["min_workers"] == 0
    assert worker["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert cluster["available_node_types"]["head"]["resources"] == {"CPU": 0}
    assert cluster["idle_timeout_minutes"] <= 15


def test_the_tracking_server_keeps_its_password_to_itself() -> None:
    services = read("clusters/tracking.compose.yaml")["services"]
    server = services["server"]
    assert server["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert server["environment"]["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert "PASSWORD" not in " ".join(server["command"])
    assert "PASSWORD" not in server["environment"]["MLFLOW_BACKEND_STORE_URI"]
    assert any(argument.startswith("--allowed-hosts=") for argument in server["command"])
    assert "ports" not in services["database"]
