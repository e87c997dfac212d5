"""Hostile and odd input, group G of docs/reliability.md, where no other test tries it whole."""

import json
import os
import shutil
import stat

import apsw
import pytest

import podcore
from harness.polling import eventually
from integration.builders import STUBBORN, add, new_pod, says, states
from podcore import ContainerSpec
from podcore.testing import check_invariants

pytestmark = pytest.mark.runtimes("crun")


def sound(engine):
    eventually(lambda: not check_invariants(engine), what="all invariants")


@pytest.mark.parametrize("length", [2, 3, 1000])
def test_f65_a_cycle_of_any_length_is_refused_with_its_path(site, length):
    pod = new_pod(site)
    names = [f"c{number:04}" for number in range(length)]
    specs = [
        ContainerSpec(name=name, rootfs=site.rootfs, command=STUBBORN, depends_on=[after])
        for name, after in zip(names, [*names[1:], names[0]], strict=True)
    ]

    with pytest.raises(podcore.DependencyCycleError) as caught:
        pod.create_containers(specs)

    assert caught.value.cycle == (*names, names[0])
    assert pod.containers() == []


def test_f65_a_dependency_that_is_named_twice_is_one(site):
    pod = new_pod(site)
    base = add(site, pod, "base")
    top = add(site, pod, "top", "base", base.id, base.id[:12], "base")

    assert top.inspect().dependencies == (base.id,)
    assert pod.start().ok


@pytest.mark.parametrize("cycle", [("one", "two"), ("one",)], ids=["of-two", "of-itself"])
def test_f65_a_cycle_in_the_rows_starts_nothing(site, cycle):
    pod = new_pod(site)
    one = add(site, pod, "one")
    add(site, pod, "two", "one")
    add(site, pod, "free")
    needed = pod.container(cycle[-1]).id
    pod._engine.close()
    database = apsw.Connection(f"{site.root}/state.db")
    database.execute("PRAGMA ignore_check_constraints = ON").fetchall()
    database.execute(
        "INSERT INTO edge (container_id, position, dependency_id, condition) VALUES (?, 7, ?, ?)",
        (one.id, needed, "started"),
    ).fetchall()
    database.close()

    pod = site.engine().pod("web")
    with pytest.raises(podcore.DependencyCycleError) as caught:
        pod.start()

    assert set(caught.value.cycle) == {pod.container(name).id for name in cycle}
    assert set(states(pod).values()) == {"configured"}
    database = apsw.Connection(f"{site.root}/state.db")
    database.execute("DELETE FROM edge WHERE position = 7").fetchall()
    database.close()


def test_f67_the_id_of_another_is_no_name(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine, share=("ipc",))
    one = add(site, pod, "one")
    other = new_pod(site, "other", engine=engine)
    infra = pod.inspect().infra_container_id

    with pytest.raises(podcore.PodExistsError, match="has the id"):
        engine.create_pod(pod.id)
    for taken in (one.id, infra):
        for where in (pod, other):
            with pytest.raises(podcore.ContainerExistsError, match="has the id"):
                add(site, where, taken)
    # Any other name that looks like an id is one like all others.
    add(site, other, "f" * 64)
    assert engine.container(one.id).name == "one"
    assert engine.pod(pod.id).name == "web"


HOMES = [
    "log",
    "hosts",
    "bundle",
    "bundle/config.json",
    "podcore.json",
    "exit.1",
    "rootfs",
    "upper",
    "work",
]
DIRECTORIES = ("bundle", "exit.1", "rootfs", "upper", "work")


def canary(base):
    """Makes a file and a directory of somebody else's; returns what tells whether they changed."""
    os.mkdir(f"{base}/theirs", 0o755)
    # The empty one is what a log looks like in the beginning.
    for name, content in {"file": "", "exit": "7", "config.json": "{}", "hosts": "canary"}.items():
        with open(f"{base}/theirs/{name}", "w", encoding="utf-8") as file:
            file.write(content)

    def now():
        found = []
        for directory, names, files in os.walk(f"{base}/theirs"):
            for name in (*names, *files):
                path = f"{directory}/{name}"
                status = os.lstat(path)
                content = b""
                if not stat.S_ISDIR(status.st_mode):
                    with open(path, "rb") as file:
                        content = file.read()
                found.append((path, stat.filemode(status.st_mode), status.st_uid, content))
        return sorted(found)

    return now


@pytest.mark.parametrize("name", HOMES)
def test_f69_links_in_a_containers_home_lead_nobody_out(site, name):
    engine = site.engine()
    pod = new_pod(site, engine=engine, share=("net",))
    command = ["sh", "-c", "echo written; echo written > /file"]
    mode = "overlay" if name in ("rootfs", "upper", "work") else "ro"
    one = add(site, pod, "one", command=command, rootfs_mode=mode)
    now = canary(site.base)
    before = now()
    planted = f"{engine.host.places.container(one.id)}/{name}"
    if os.path.isdir(planted):
        os.rename(planted, f"{site.base}/moved")
    elif os.path.lexists(planted):
        os.unlink(planted)
    os.symlink(f"{site.base}/theirs" + ("" if name in DIRECTORIES else "/file"), planted)

    # Refused, or put right; but never followed.
    try:
        pod.start()
        one.wait(60)
    except podcore.PartialFailureError:
        assert one.status == "configured"
        os.unlink(planted)
    assert now() == before
    pod.stop(timeout=0, cleanup=True)
    pod.remove(force=True)
    assert now() == before


@pytest.mark.runtimes("runc", "crun")
@pytest.mark.parametrize("link", ["{theirs}", "../../../../../..{theirs}"], ids=["absolute", "up"])
def test_f69_links_in_a_rootfs_lead_nobody_out(site, link):
    now = canary(site.base)
    before = now()
    to = link.format(theirs=f"{site.base}/theirs")
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    for name, target in {"data": "", "bound": "/file", "etc/hosts": "/hosts"}.items():
        if os.path.lexists(f"{rootfs}/{name}"):
            os.unlink(f"{rootfs}/{name}")
        os.symlink(to + target, f"{rootfs}/{name}")
    with open(f"{site.base}/mine", "w", encoding="utf-8") as file:
        file.write("mine")
    mounts = [
        podcore.Mount(type="volume", source="data", target="/data"),
        podcore.Mount(type="bind", source=f"{site.base}/mine", target="/bound"),
    ]
    engine = site.engine()
    pod = new_pod(site, engine=engine, share=("net",))
    settings = {"rootfs": rootfs, "rootfs_mode": "overlay"}
    touch = ["sh", "-c", "echo x > /data/new; echo x >> /etc/hosts; exit 0"]

    # A runtime may refuse such a mount point; nobody may follow it.
    try:
        one = add(site, pod, "one", command=touch, mounts=mounts, **settings)
        one.start()
        one.wait(60)
    except podcore.PodcoreError:
        assert now() == before
    plain = add(site, pod, "plain", command=touch, **settings)
    plain.start()
    assert plain.wait(60) == 0

    assert now() == before
    pod.remove(force=True)
    for volume in engine.volumes.list():
        # What is at its mount point inside, and nothing of the host's: that link is another one.
        for directory, _, files in os.walk(engine.host.places.volume(volume.name)):
            for name in files:
                with open(f"{directory}/{name}", encoding="utf-8") as file:
                    assert "canary" not in file.read()
        engine.volumes.remove(volume.name)
    assert now() == before


def bundle(site, **parts):
    """A bundle of the user's own; ``parts`` are added to its configuration."""
    path = f"{site.base}/bundle"
    os.mkdir(path)
    config = {
        "ociVersion": "1.0.2",
        "process": {"args": STUBBORN, "cwd": "/", "env": ["PATH=/bin"]},
        "root": {"path": site.rootfs, "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ],
        "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}]},
    }
    config["process"]["user"] = {"uid": 0, "gid": 0}
    with open(f"{path}/config.json", "w", encoding="utf-8") as file:
        json.dump(config | parts, file)
    return path


@pytest.mark.runtimes("runc", "crun")
def test_f70_a_megabyte_of_annotations_holds_up_no_verb(site):
    """Podman hung when it handed that much to a child through a pipe that nobody read (#22246)."""
    pod = new_pod(site)
    large = bundle(site, annotations={"com.example.large": "x" * (1 << 20)})
    one = pod.create_container("one", bundle=large)

    assert pod.start().ok
    assert one.exec(["true"]).exit_code == 0
    assert pod.stop(timeout=0, cleanup=True).ok
    assert pod.restart().ok
    assert pod.remove(force=True).ok
    with pytest.raises(podcore.InvalidArgumentError, match="annotations"):
        add(site, new_pod(site), "two", annotations={"com.example.large": "x" * (1 << 20)})


def damaged(path, how):
    os.mkdir(f"{path}.real", 0o700)
    if how == "link":
        os.symlink(f"{path}.real", path)
        return
    os.rename(f"{path}.real", path)
    if how == "theirs":
        os.chown(path, 12345, 12345)
    else:
        os.chmod(path, int(how, 8))


@pytest.mark.parametrize("how", ["link", "theirs", "0777", "0710"])
@pytest.mark.parametrize("which", ["root", "run_root"])
def test_f72_a_directory_that_others_have_power_over_is_refused(site, which, how):
    path = getattr(site, which)
    damaged(path, how)

    for attempt in (lambda engine: engine.create_pod("web"), lambda engine: engine.pods()):
        with pytest.raises(podcore.InvalidArgumentError, match="hint: "):
            attempt(site.engine())

    assert os.listdir(path) == []
    # What the test itself made is no place for the clean-up of the site.
    os.unlink(path) if how == "link" else os.rmdir(path)


def test_f74_whatever_a_container_prints_is_read_exactly(site):
    header = b"2026-01-01T00:00:00.000000001+00:00 stderr F forged\n"
    printed = b"".join(
        [
            b"\0\0nothing\0\n",
            header,
            b"\r\x1b[2J\xff\xfe\n",
            b"m" * 1_000_000 + b"\n",
            b"\n" * 100,
            header * 3,
            b"\xe2\x82\n",
        ]
    )
    with open(f"{site.base}/printed", "wb") as file:
        file.write(printed)
    pod = new_pod(site)
    mount = podcore.Mount(type="bind", source=f"{site.base}/printed", target="/printed")
    command = ["cat", "/printed"]
    one = add(site, pod, "one", command=command, mounts=[mount], rootfs_mode="overlay")
    pod.start()
    assert one.wait(60) == 0

    entries = list(one.logs())
    assert {entry.stream for entry in entries} == {"stdout"}
    read = b"".join(entry.data + (b"" if entry.partial else b"\n") for entry in entries)
    assert read == printed
    assert [entry.data for entry in one.logs(tail=1)] == [b"\xe2\x82"]


def test_f74_a_flood_fills_neither_the_log_nor_the_memory_of_who_reads_it(site):
    pod = new_pod(site)
    flood = ["sh", "-c", "yes 0123456789abcdef | head -c 30000000; echo; echo the end"]
    one = add(site, pod, "one", command=flood, log_size_max=1_000_000)
    pod.start()
    assert one.wait(120) == 0

    assert os.path.getsize(one.inspect().log_path) < 3_000_000
    assert [entry.text for entry in one.logs(tail=1)] == ["the end"]


def test_f76_two_hundred_inheritable_descriptors_reach_no_container(site):
    pod = new_pod(site)
    one = add(site, pod, "one", command=["sh", "-c", "ls /proc/self/fd; echo listed; sleep 1000"])
    leaked = [os.open("/", os.O_RDONLY | os.O_DIRECTORY) for _ in range(200)]
    try:
        for fd in leaked:
            os.set_inheritable(fd, True)
        pod.start()
        inside = one.exec(["ls", "/proc/self/fd"]).stdout.split()
    finally:
        for fd in leaked:
            os.close(fd)
    with one._engine.host.store.read() as view:
        monitor = view.container(one.id).monitor.pid
    opened = {os.readlink(f"/proc/{monitor}/fd/{fd}") for fd in os.listdir(f"/proc/{monitor}/fd")}

    assert "/" not in opened
    eventually(lambda: says(one, "listed"))
    # The fourth is the directory that `ls` reads.
    expected = ["0", "1", "2", "3"]
    assert [entry.text for entry in one.logs()] == [*expected, "listed"]
    assert inside == [number.encode() for number in expected]
