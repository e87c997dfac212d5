"""The files of a container: its overlay, mounts, volumes, copies, and what is made for its /etc."""

import os
import shutil
import socket
import stat
import subprocess
import sys

import pytest

import podcore
from harness import host
from podcore.kernel import mounts
from pods.inside import THOROUGH, add, ran, sh

MIB = 1 << 20


@pytest.fixture
def pod(site):
    return site.engine().create_pod("web")


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def upper(site, container):
    return f"{site.root}/containers/{container.id}/upper"


def mounts_below(path):
    return [mount for mount in host.mounts() if mount.mount_point.startswith(f"{path}/")]


def test_writes_are_seen_by_nobody_else_and_stay_until_the_container_is_removed(site, pod):
    before = sorted(os.listdir(f"{site.rootfs}/etc"))
    one, two = add(site, pod, "one"), add(site, pod, "two")
    pod.start()
    sh(one, "echo mine > /etc/note; rm /etc/passwd; echo changed >> /etc/group")
    assert sh(
        two, "ls /etc/note 2>/dev/null; ls /etc/passwd; grep -c changed /etc/group || true"
    ) == ("/etc/passwd\n0")
    assert sorted(os.listdir(f"{site.rootfs}/etc")) == before
    assert "changed" not in read(f"{site.rootfs}/etc/group")
    pod.stop(timeout=0, cleanup=True)
    assert mounts_below(site.root) == []
    pod.start()
    assert sh(one, "cat /etc/note; test -e /etc/passwd || echo gone") == "mine\ngone"
    directory = os.path.dirname(upper(site, one))
    pod.stop(timeout=0)
    one.remove()
    assert not os.path.exists(directory)


@pytest.mark.runtimes("runc")
def test_a_rootfs_can_be_used_in_place_or_read_only(site, pod):
    own = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, own, symlinks=True)
    direct = add(site, pod, "direct", rootfs=own, rootfs_mode="direct")
    locked = add(site, pod, "locked", rootfs=own, rootfs_mode="ro")
    strict = add(site, pod, "strict", rootfs=own, read_only=True)
    pod.start()
    sh(direct, "echo mine > /root/note")
    assert read(f"{own}/root/note") == "mine\n"
    for container in (locked, strict):
        assert sh(container, "touch /root/x 2>&1 || true").endswith("Read-only file system")
    # A tmpfs is writable on a root that is not.
    sh(locked, "touch /dev/shm/x")


@pytest.mark.slow
@pytest.mark.runtimes(*(("runc", "crun") if THOROUGH else ("crun",)))
def test_two_hundred_containers_share_a_rootfs_of_100_mb_without_copying_it(site):
    count = 200
    big = f"{site.base}/big"
    shutil.copytree(site.rootfs, big, symlinks=True)
    with open(f"{big}/root/data", "wb") as file:
        file.write(os.urandom(MIB) * 100)
    pod = site.engine().create_pod("many", share=())
    specs = [
        podcore.ContainerSpec(name=f"c{number}", rootfs=big, command=["/bin/sleep", "1000"])
        for number in range(count)
    ]
    containers = pod.create_containers(specs)
    pod.start()
    assert {str(state) for state in pod.status().values()} == {"running"}
    for container in (containers[0], containers[-1]):
        assert sh(container, "wc -c < /root/data") == str(100 * MIB)
        sh(container, "echo $HOSTNAME > /root/mine")
    # A copy each would be 20 GB.
    assert disk_usage(site.root) < count * 256 * 1024
    assert not os.path.exists(f"{big}/root/mine")
    pod.remove(force=True)
    assert mounts_below(site.root) == []
    assert os.listdir(f"{site.root}/containers") == []


def disk_usage(top):
    """Bytes on disk below a directory, but for what is mounted there."""
    used = 0
    device = os.lstat(top).st_dev
    for directory, names, files in os.walk(top):
        names[:] = [name for name in names if os.lstat(f"{directory}/{name}").st_dev == device]
        used += sum(os.lstat(f"{directory}/{name}").st_blocks * 512 for name in (*names, *files))
    return used


def test_binds_and_tmpfs_are_what_was_asked_for(site, pod):
    shared = f"{site.base}/shared"
    os.makedirs(f"{shared}/below")
    with open(f"{shared}/file", "w", encoding="utf-8") as file:
        file.write("host")
    mount = podcore.Mount
    container = add(
        site,
        pod,
        "app",
        mounts=[
            mount(type="bind", source=shared, target="/rw"),
            mount(type="bind", source=shared, target="/ro", read_only=True),
            mount(type="bind", source=f"{shared}/file", target="/etc/single", read_only=True),
            mount(type="tmpfs", target="/cache", size="1m", mode=0o700),
            mount(type="tmpfs", target="/cache/inner"),
        ],
    )
    pod.start()
    assert sh(container, "cat /rw/file /ro/file /etc/single") == "hosthosthost"
    sh(container, "echo inside > /rw/new")
    assert read(f"{shared}/new") == "inside\n"
    for path in ("/ro/x", "/etc/single"):
        assert sh(container, f"(echo x > {path}) 2>&1 || true").endswith("Read-only file system")
    assert sh(container, "stat -c %a /cache /cache/inner") == "700\n1777"
    full = sh(container, "dd if=/dev/zero of=/cache/x bs=1M count=3 2>&1 || true")
    assert "No space left" in full
    seen = sh(container, "grep -E ' (/rw|/cache) ' /proc/mounts")
    assert all({"nosuid", "nodev"} <= set(line.split()[3].split(",")) for line in seen.splitlines())


@pytest.mark.runtimes("runc")
def test_mounts_of_the_host_show_up_inside_where_propagation_says_so(site, pod):
    for name in ("slave", "private"):
        os.makedirs(f"{site.base}/{name}/sub")
        mounts.bind(f"{site.base}/{name}", f"{site.base}/{name}")
    container = add(
        site,
        pod,
        "app",
        mounts=[
            podcore.Mount(
                type="bind", source=f"{site.base}/{name}", target=f"/{name}", propagation=f"r{name}"
            )
            for name in ("slave", "private")
        ],
    )
    try:
        make_shared(f"{site.base}/slave")
        make_shared(f"{site.base}/private")
        pod.start()
        for name in ("slave", "private"):
            mounts.tmpfs(f"{site.base}/{name}/sub")
            with open(f"{site.base}/{name}/sub/late", "w", encoding="utf-8"):
                pass
        assert sh(container, "ls /slave/sub; ls /private/sub") == "late"
        pod.remove(force=True)
    finally:
        for name in ("slave", "private"):
            mounts.unmount(f"{site.base}/{name}/sub")
            mounts.unmount(f"{site.base}/{name}")


def make_shared(path):
    subprocess.run(["mount", "--make-shared", path], check=True)


def test_volumes_outlive_their_containers_and_are_not_removed_under_them(site, pod):
    engine = site.engine()
    volume = engine.volumes.create("data", labels={"app": "db"})
    mounting = [podcore.Mount(type="volume", source="data", target="/data")]
    one = add(site, pod, "one", mounts=mounting)
    two = add(site, pod, "two", mounts=mounting)
    # Made with the first container that mounts it, as in podman.
    made = add(site, pod, "three", mounts=[podcore.Mount(type="volume", source="new", target="/n")])
    pod.start()
    sh(one, "echo kept > /data/note")
    assert sh(two, "cat /data/note") == "kept"
    assert [found.name for found in engine.volumes.list()] == ["data", "new"]
    with pytest.raises(podcore.VolumeInUseError) as caught:
        engine.volumes.remove("data")
    assert set(caught.value.containers) == {one.id, two.id}
    assert list(engine.volumes.prune()) == []
    pod.remove(force=True)
    assert read(f"{volume.path}/note") == "kept\n"
    again = site.engine().create_pod("again")
    reader = add(site, again, "reader", mounts=mounting, command=["/bin/cat", "/data/note"])
    assert ran(reader) == "kept"
    assert list(engine.volumes.prune()) == ["new"]
    again.remove(force=True)
    engine.volumes.remove("data")
    assert not os.path.exists(volume.path)
    with pytest.raises(podcore.NoSuchVolumeError):
        engine.volumes.get("data")
    assert made.name == "three"


@pytest.mark.runtimes("runc")
def test_a_new_volume_begins_with_what_the_rootfs_has_there(site, pod):
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.makedirs(f"{rootfs}/srv/data/deep")
    with open(f"{rootfs}/srv/data/deep/file", "w", encoding="utf-8") as file:
        file.write("image")
    os.chown(f"{rootfs}/srv/data/deep/file", 1000, 7)
    os.symlink("/etc/passwd", f"{rootfs}/srv/data/link")
    os.chown(f"{rootfs}/srv/data", 1000, 1000)
    os.chmod(f"{rootfs}/srv/data", 0o750)
    engine = site.engine()
    engine.volumes.create("used")
    with open(f"{engine.volumes.get('used').path}/mine", "w", encoding="utf-8"):
        pass
    engine.volumes.create("empty")
    target = {"fresh": "/srv/data", "empty": "/srv/data", "used": "/srv/data", "bare": "/nowhere"}
    for name, path in target.items():
        mounting = [podcore.Mount(type="volume", source=name, target=path)]
        add(site, pod, name, rootfs=rootfs, mounts=mounting, user="user")
    pod.start()
    for name in ("fresh", "empty"):
        seen = sh(
            pod.container(name), "cd /srv/data; stat -c '%a %u:%g' . deep/file; cat deep/file"
        )
        assert seen == "750 1000:1000\n644 1000:7\nimage"
        # What the link leads to on the host was not followed.
        assert sh(pod.container(name), "readlink /srv/data/link") == "/etc/passwd"
    assert sh(pod.container("used"), "ls /srv/data") == "mine"
    assert sh(pod.container("bare"), "ls /nowhere") == ""
    # It belongs to whoever writes to it from now on.
    sh(pod.container("fresh"), "echo new > /srv/data/deep/file")
    assert read(f"{rootfs}/srv/data/deep/file") == "image"
    more = add(
        site,
        pod,
        "more",
        rootfs=rootfs,
        mounts=[podcore.Mount(type="volume", source="fresh", target="/etc")],
        command=["/bin/ls", "/etc"],
    )
    assert ran(more).split()[0] == "deep"
    assert not [name for name in os.listdir(f"{site.root}/volumes") if name.startswith(".")]


def test_copies_go_in_and_out_and_through_no_link_out(site, pod):
    container = add(site, pod, "app")
    outside = f"{site.base}/outside"
    os.makedirs(f"{outside}/tree/deep")
    with open(f"{outside}/tree/deep/file", "w", encoding="utf-8") as file:
        file.write("from the host")
    container.copy_in(f"{outside}/tree", "/var")  # not started yet
    pod.start()
    assert sh(container, "cat /var/tree/deep/file") == "from the host"
    sh(container, f"ln -s {outside} /var/out; ln -s ../../../../../.. /var/up; ln -s /etc /var/etc")
    container.copy_in(f"{outside}/tree/deep/file", "/var/up/root/landed")
    container.copy_in(f"{outside}/tree/deep/file", "/var/etc/landed")
    assert sh(container, "cat /root/landed; cat /etc/landed") == "from the hostfrom the host"
    with pytest.raises(podcore.InvalidArgumentError, match="does not exist inside"):
        container.copy_in(f"{outside}/tree/deep/file", "/var/out/evil")
    assert os.listdir(outside) == ["tree"]
    with pytest.raises(podcore.InvalidArgumentError, match="does not exist inside"):
        container.copy_out("/var/out/tree", f"{site.base}/stolen")
    sh(
        container,
        "mkdir -p /root/made; echo inside > /root/made/file; ln -s /etc/shadow /root/made/l",
    )
    container.copy_out("/root/made", f"{site.base}/got")
    assert read(f"{site.base}/got/file") == "inside\n"
    assert stat.S_ISLNK(os.lstat(f"{site.base}/got/l").st_mode)
    pod.stop(timeout=0)
    container.copy_out("/../../root/made/file", f"{site.base}/again")
    assert read(f"{site.base}/again") == "inside\n"


def test_copies_belong_to_whoever_the_container_runs_as_and_keep_the_rest(site, pod):
    container = add(site, pod, "app", user="user")
    source = f"{site.base}/source"
    os.makedirs(f"{source}/tree")
    with open(f"{source}/tree/file", "w", encoding="utf-8") as file:
        file.write("data")
    os.chown(f"{source}/tree/file", 7, 8)
    os.chmod(f"{source}/tree/file", 0o4711)
    os.setxattr(f"{source}/tree/file", "user.note", b"kept")
    os.link(f"{source}/tree/file", f"{source}/tree/again")
    os.symlink("file", f"{source}/tree/link")
    os.mkfifo(f"{source}/tree/pipe", 0o600)
    os.utime(f"{source}/tree/file", (1_000_000_000, 1_100_000_000))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"{source}/tree/socket")
    show = "cd {}; stat -c '%n %a %u:%g %h %Y' file again | sed 's/ 11.*/ then/'; readlink link"
    expected = "file 4711 {0} 2 then\nagain 4711 {0} 2 then\nfile\n600 {0}"
    for _ in range(2):
        assert container.copy_in(f"{source}/tree", "/var/tree") == (
            f"`{source}/tree/socket` is a socket and was left out",
        )
        container.copy_in(f"{source}/tree", "/var/as-it-is", archive=False)
        pod.start()
        script = f"{show}; stat -c '%a %u:%g' pipe"
        whole = sh(container, script.format("/var/tree"))
        assert whole == expected.format("1000:1000")
        whole = sh(container, script.format("/var/as-it-is"))
        assert whole == expected.replace("600 {0}", "600 0:0").format("7:8")
        # Again while it runs, over what is there.
        sh(container, "rm -r /var/tree /var/as-it-is", user="0")
    inside = f"/proc/{container.pid}/root/var/tree/file"
    container.copy_in(f"{source}/tree", "/var/tree")
    assert os.getxattr(inside, "user.note") == b"kept"
    container.copy_out("/var/tree", f"{site.base}/back")
    status = os.lstat(f"{site.base}/back/file")
    assert (status.st_uid, status.st_gid, status.st_nlink) == (os.geteuid(), os.getegid(), 2)
    assert stat.S_IMODE(status.st_mode) == 0o711  # what it may do is for the host to say
    assert status.st_mtime == 1_100_000_000
    assert os.getxattr(f"{site.base}/back/file", "user.note") == b"kept"


def test_copies_go_where_the_container_sees_its_mounts(site, pod):
    engine = site.engine()
    for name in ("bound", "single"):
        os.mkdir(f"{site.base}/{name}")
    with open(f"{site.base}/single/file", "w", encoding="utf-8") as file:
        file.write("host")
    mount = podcore.Mount
    container = add(
        site,
        pod,
        "app",
        mounts=[
            mount(type="volume", source="data", target="/data"),
            mount(type="bind", source=f"{site.base}/bound", target="/data/bound"),
            mount(type="bind", source=f"{site.base}/bound", target="/locked", read_only=True),
            mount(type="bind", source=f"{site.base}/single/file", target="/etc/single"),
            mount(type="tmpfs", target="/cache"),
        ],
    )
    reader = add(site, pod, "reader", read_only=True, mounts=[mount(type="tmpfs", target="/cache")])
    new = f"{site.base}/new"
    with open(new, "w", encoding="utf-8") as file:
        file.write("new")

    def both():
        container.copy_in(new, "/data/")
        container.copy_in(new, "/data/bound/new")
        assert read(f"{engine.volumes.get('data').path}/new") == "new"
        assert read(f"{site.base}/bound/new") == "new"
        container.copy_out("/etc/single", f"{site.base}/got")
        assert read(f"{site.base}/got") == "host"
        container.copy_out("/data/bound", site.base + "/out")
        assert os.listdir(f"{site.base}/out") == ["new"]
        shutil.rmtree(f"{site.base}/out")
        with pytest.raises(podcore.ContainerStateError, match=r"`/locked/x` of .* is read-only"):
            container.copy_in(new, "/locked/x")
        with pytest.raises(podcore.InvalidArgumentError, match="does not exist inside"):
            container.copy_out("/data/../../new", f"{site.base}/none")

    both()
    os.mkdir(f"{site.base}/under")
    container.copy_out("/data", f"{site.base}/under")
    assert os.listdir(f"{site.base}/under") == ["data"]
    for path in ("/cache/x", "/cache"):
        with pytest.raises(podcore.ContainerStateError, match="a tmpfs, which is there only while"):
            container.copy_in(new, path)
    pod.start()
    os.unlink(f"{site.base}/bound/new")
    both()
    container.copy_in(new, "/cache/x")
    assert sh(container, "cat /cache/x /data/new /data/bound/new") == "newnewnew"
    with pytest.raises(podcore.InvalidArgumentError, match="something is mounted there"):
        container.copy_in(new, "/etc/single")
    assert sh(container, "cat /etc/single; cat /etc/hostname") == "hostweb"
    with pytest.raises(podcore.ContainerStateError, match="read-only"):
        container.copy_in(new, "/sys/x")
    # A root that is read-only for the container alone is not for whoever prepares it.
    reader.copy_in(new, "/root/x")
    reader.copy_in(new, "/cache/x")
    assert sh(reader, "cat /root/x /cache/x") == "newnew"


def test_a_whole_container_comes_out_without_what_its_kernel_makes_up(site, pod):
    container = add(site, pod, "app")
    pod.start()
    sh(container, "echo mine > /root/mine")
    os.mkdir(f"{site.base}/all")
    left = container.copy_out("/", f"{site.base}/all")
    assert read(f"{site.base}/all/root/mine") == "mine\n"
    assert not os.path.exists(f"{site.base}/all/proc")
    assert not os.path.exists(f"{site.base}/all/sys")
    assert any("/proc` is the kernel's" in line for line in left)
    assert any("/dev/null` is a device" in line for line in left)


def test_copies_into_a_container_with_ids_of_its_own_belong_to_them(site, pod):
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.chmod(site.base, 0o711)
    os.mkdir(f"{rootfs}/shared")
    os.mkdir(f"{site.base}/shared")
    os.chmod(f"{site.base}/shared", 0o777)
    mounting = [
        podcore.Mount(type="tmpfs", target="/tmp", size="1m"),
        podcore.Mount(type="bind", source=f"{site.base}/shared", target="/shared"),
    ]
    new = f"{site.base}/new"
    with open(new, "w", encoding="utf-8") as file:
        file.write("new")
    os.chown(new, 7, 8)
    container = add(
        site, pod, "app", rootfs=rootfs, profile="strict", user="1000:1000", mounts=mounting
    )
    with pytest.raises(podcore.ContainerStateError, match="read-only"):
        container.copy_in(new, "/root/x")
    container.copy_in(new, "/shared/before")
    pod.start()
    container.copy_in(new, "/shared/mine")
    container.copy_in(new, "/shared/theirs", archive=False)
    shown = sh(container, "cd /shared; stat -c %u:%g before mine theirs; cat mine")
    assert shown == "1000:1000\n1000:1000\n7:8\nnew"
    assert sh(container, "echo more >> /shared/mine; cat /shared/mine") == "newmore"
    sh(container, "echo out > /tmp/x; ln -s x /tmp/l")
    container.copy_out("/tmp/l", f"{site.base}/got")
    assert read(f"{site.base}/got") == "out\n"


def everybody_reads(*paths):
    """Whether anybody can get at these files."""
    while paths:
        if not all(os.stat(path).st_mode & 0o001 or os.path.isfile(path) for path in paths):
            return False
        paths = tuple({os.path.dirname(path) for path in paths if path != "/"})
    return True


def test_copies_reach_a_tmpfs_in_which_the_host_s_ids_do_not_exist(site, pod):
    rootfs = f"{site.base}/rootfs"
    shutil.copytree(site.rootfs, rootfs, symlinks=True)
    os.chmod(site.base, 0o711)
    mounting = [podcore.Mount(type="tmpfs", target="/tmp", size="1m")]
    container = add(
        site, pod, "app", rootfs=rootfs, profile="strict", user="1000:1000", mounts=mounting
    )
    pod.start()
    # Nobody but the caller can read it.
    source = f"{site.base}/private"
    os.makedirs(f"{source}/tree", 0o700)
    os.chmod(source, 0o700)
    for name in ("one", "two"):
        with open(f"{source}/tree/{name}", "w", encoding="utf-8") as file:
            file.write(name)
        os.chmod(f"{source}/tree/{name}", 0o600)
    os.link(f"{source}/tree/one", f"{source}/tree/again")
    os.chown(f"{source}/tree/two", 7, 8)
    os.symlink("one", f"{source}/tree/link")
    # A virtual environment names the interpreter that it is of.
    if not everybody_reads(podcore.__file__, sys.executable, os.path.realpath(sys.executable)):
        with pytest.raises(podcore.UnsupportedError, match="user ids can run this Python"):
            container.copy_in(f"{source}/tree/one", "/tmp/x")
        return
    container.copy_in(f"{source}/tree", "/tmp/mine")
    container.copy_in(f"{source}/tree/.", "/tmp", archive=False)
    container.copy_in(f"{source}/tree/two", "/tmp/mine/third")
    shown = sh(container, "cd /tmp/mine; stat -c '%n %a %u:%g %h' *; cat link again third")
    assert shown == (
        "again 600 1000:1000 2\nlink 777 1000:1000 1\none 600 1000:1000 2\n"
        "third 600 1000:1000 1\ntwo 600 1000:1000 1\none" + "onetwo"
    )
    assert sh(container, "stat -c %u:%g /tmp/two /tmp/one", user="0") == "7:8\n0:0"
    with pytest.raises(podcore.InvalidArgumentError, match="`/tmp/none` does not exist inside"):
        container.copy_in(f"{source}/tree/one", "/tmp/none/x")
    sh(container, "mkdir -p /tmp/deep/one")
    with pytest.raises(podcore.InvalidArgumentError, match="can't replace the directory"):
        container.copy_in(f"{source}/tree/one", "/tmp/deep")
    with open(f"{source}/large", "wb") as file:
        file.write(os.urandom(2 * MIB))
    with pytest.raises(OSError, match="No space left"):
        container.copy_in(f"{source}/large", "/tmp")
    # Nothing is left of what lay between.
    home = f"{site.root}/containers/{container.id}"
    assert not [name for name in os.listdir(home) if name.startswith("copy.")]


@pytest.mark.runtimes("runc")
def test_etc_is_made_for_the_container_and_not_over_mounts_of_the_user(site, pod):
    own = f"{site.base}/hosts"
    with open(own, "w", encoding="utf-8") as file:
        file.write("10.0.0.1 mine\n")
    plain = add(site, pod, "plain")
    mounted = add(
        site, pod, "mounted", mounts=[podcore.Mount(type="bind", source=own, target="/etc/hosts")]
    )
    host_network = add(site, pod, "host", namespaces={"net": "host"})
    pod.start()
    assert sh(plain, "cat /etc/hostname; stat -c %a /etc/hosts /etc/resolv.conf") == "web\n644\n644"
    names = [line.split()[1:] for line in sh(plain, "cat /etc/hosts").splitlines()]
    assert ["web", "plain", "mounted"] in names
    assert "nameserver" not in sh(plain, "cat /etc/resolv.conf")
    assert sh(mounted, "cat /etc/hosts") == "10.0.0.1 mine"
    with open("/etc/resolv.conf", encoding="utf-8") as file:
        assert sh(host_network, "cat /etc/resolv.conf") == file.read().removesuffix("\n")
