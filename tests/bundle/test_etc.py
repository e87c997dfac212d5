"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container."""

import os

import pytest

from podcore.bundle import write_etc
from podcore.model import ContainerSpec, Mount
from podcore.specs import check_container


@pytest.fixture
def place(tmp_path):
    (tmp_path / "files").mkdir()
    (tmp_path / "root" / "etc").mkdir(parents=True)
    for name in ("proc", "dev", "sys"):
        (tmp_path / "root" / name).mkdir()
    return tmp_path


def made(place, hostname="web", names=(), host_network=False, new=False, **fields):
    fields.setdefault("rootfs_mode", "overlay")
    spec = check_container(ContainerSpec(rootfs=f"{place}/root", command=["x"], **fields))
    return {
        target: source
        for source, target in write_etc(
            f"{place}/files",
            hostname,
            spec,
            f"{place}/root",
            names=names,
            host_network=host_network,
            new=new,
        )
    }


def text(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def test_a_container_knows_itself_and_its_pod_on_the_loopback(place):
    files = made(place, names=["db", "web"])
    assert list(files) == ["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"]
    hosts = text(files["/etc/hosts"]).splitlines()
    assert "127.0.0.1\tlocalhost" in hosts
    assert "127.0.0.1\tweb db" in hosts
    assert text(files["/etc/hostname"]) == "web\n"
    assert "nameserver" not in text(files["/etc/resolv.conf"])
    assert os.stat(files["/etc/hosts"]).st_mode & 0o777 == 0o644


def test_with_the_host_s_network_come_its_name_servers(place):
    found = text(made(place, host_network=True)["/etc/resolv.conf"])
    assert found == (text("/etc/resolv.conf") if os.path.exists("/etc/resolv.conf") else "")


def test_what_the_user_mounts_is_left_to_the_user(place):
    mount = Mount(type="bind", target="/etc/hosts", source=f"{place}/root")
    assert list(made(place, mounts=[mount])) == ["/etc/hostname", "/etc/resolv.conf"]
    assert made(place, mounts=[Mount(type="tmpfs", target="/etc")]) == {}


@pytest.mark.parametrize("fields", [{"rootfs_mode": "direct"}, {"rootfs_mode": "ro"}])
def test_a_directory_of_the_user_s_gets_no_empty_files(place, fields):
    (place / "root" / "etc" / "hosts").touch()
    # Inside, this link leads to a file that is not there; on the host it would be.
    (place / "root" / "etc" / "hostname").symlink_to("/etc/hostname")
    (place / "root" / "etc" / "resolv.conf").symlink_to(f"../../../../..{place}/files")
    assert list(made(place, **fields)) == ["/etc/hosts"]


def test_what_a_new_container_gets_is_right_already_when_it_starts(place):
    files = made(place, new=True)
    inodes = {source: os.stat(source).st_ino for source in files.values()}
    assert made(place) == files
    assert {source: os.stat(source).st_ino for source in files.values()} == inodes
