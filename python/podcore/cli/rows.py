"""Pods and containers as ``ps`` shows them: the fields of ``--json`` and the columns of tables."""

import time
from typing import TYPE_CHECKING, Any

from podcore.cli import human
from podcore.cli.output import Column
from podcore.names import SHORT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podcore.model import ContainerSummary, PodInspect


def pod_row(facts: "PodInspect") -> dict[str, Any]:
    """Returns what ``pod ps --json`` says of a pod."""
    return {
        "Id": facts.id,
        "Name": facts.name,
        "Status": facts.state.value.capitalize(),
        "Created": human.rfc3339(facts.created),
        "CreatedSeconds": facts.created,
        "InfraId": facts.infra_container_id,
        "Containers": [
            {"Id": member.id, "Names": member.name, "Status": member.state.value}
            for member in facts.containers
        ],
        "NumberOfContainers": len(facts.containers),
        "Labels": dict(facts.labels),
        "Cgroup": facts.cgroup_path,
        "Share": list(facts.share),
        "Hostname": facts.hostname,
    }


def container_rows(found: "Iterable[ContainerSummary]") -> list[dict[str, Any]]:
    """Returns what ``ps --json`` says of containers."""
    now = time.time()
    return [_container_row(facts, now) for facts in found]


def _container_row(facts: "ContainerSummary", now: float) -> dict[str, Any]:
    state = facts.state.value
    return {
        "Id": facts.id,
        "Names": [facts.name],
        "State": state,
        "Status": _describe(facts, state, now),
        "ExitCode": facts.exit_code,
        "Reason": facts.reason,
        "OOMKilled": facts.oom_killed,
        "Pid": facts.pid or 0,
        "Pod": facts.pod_id,
        "PodName": facts.pod_name,
        "Created": human.rfc3339(facts.created),
        "CreatedSeconds": facts.created,
        "StartedAt": human.rfc3339(facts.started),
        "ExitedAt": human.rfc3339(facts.finished),
        "Restarts": facts.restarts,
        "Command": list(facts.command),
        "Labels": facts.labels,
        "IsInfra": facts.kind == "infra",
    }


def _describe(facts: "ContainerSummary", state: str, now: float) -> str:
    if state == "exited":
        code = facts.reason or "unknown" if facts.exit_code is None else str(facts.exit_code)
        return f"Exited ({code}) {human.ago(facts.finished, now)}".rstrip()
    if state in {"running", "paused"} and facts.started is not None:
        up = f"Up {human.since(max(0.0, now - facts.started))}"
        return f"{up} (Paused)" if state == "paused" else up
    return state.capitalize()


def _short(value: str, *, full: bool) -> str:
    return value if full else value[:SHORT]


def pod_columns(*, full: bool, ids: bool, names: bool, status: bool) -> list[Column]:
    """Returns podman's columns of ``pod ps``.

    Args:
        full: ids are not cut.
        ids: a column with the ids of the containers.
        names: one with their names.
        status: one with their states.
    """
    now = time.time()
    columns = [
        Column("POD ID", lambda row: _short(row["Id"], full=full)),
        Column("NAME", lambda row: str(row["Name"])),
        Column("STATUS", lambda row: str(row["Status"])),
        Column("CREATED", lambda row: human.ago(row["CreatedSeconds"], now)),
        Column("INFRA ID", lambda row: _short(row["InfraId"], full=full)),
    ]
    members = [
        (ids, "IDS", lambda member: _short(member["Id"], full=full)),
        (names, "NAMES", lambda member: str(member["Names"])),
        (status, "STATUS", lambda member: str(member["Status"])),
    ]
    chosen = [(heading, cell) for wanted, heading, cell in members if wanted]
    for heading, cell in chosen:
        columns.append(
            Column(heading, lambda row, cell=cell: ",".join(map(cell, row["Containers"])))  # type: ignore[misc] # likewise
        )
    if not chosen:
        columns.append(Column("# OF CONTAINERS", lambda row: str(row["NumberOfContainers"])))
    return columns


def container_columns(*, full: bool) -> list[Column]:
    """Returns podman's columns of ``ps --pod``, without image and ports."""
    now = time.time()

    def command(row: Any) -> str:  # `Any`: a row, as Column has it
        text = " ".join(row["Command"])
        return text if full or len(text) <= 20 else f"{text[:19]}…"

    return [
        Column("CONTAINER ID", lambda row: _short(row["Id"], full=full)),
        Column("COMMAND", command),
        Column("CREATED", lambda row: human.ago(row["CreatedSeconds"], now)),
        Column("STATUS", lambda row: str(row["Status"])),
        Column("NAMES", lambda row: ",".join(row["Names"])),
        Column("POD ID", lambda row: _short(row["Pod"], full=full)),
        Column("PODNAME", lambda row: str(row["PodName"])),
    ]
