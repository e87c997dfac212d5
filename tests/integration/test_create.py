"""Making and finding pods and containers."""

import re

import pytest

import podcore
from integration.builders import STUBBORN, add, new_pod
from podcore import ContainerSpec


def spec(site, name, *needs, **fields):
    return ContainerSpec(
        name=name,
        rootfs=site.rootfs,
        rootfs_mode="ro",
        command=STUBBORN,
        depends_on=needs,
        **fields,
    )


@pytest.mark.runtimes("crun")
def test_names_are_generated_where_none_is_given(site):
    engine = site.engine()
    first, second = (engine.create_pod(share=()) for _ in range(2))

    assert re.fullmatch(r"[a-z]+_[a-z]+\d*", first.name)
    assert first.name != second.name
    names = {add(site, first, None).name for _ in range(3)}
    assert len(names) == 3


@pytest.mark.runtimes("crun")
def test_a_list_of_containers_may_depend_on_each_other_in_any_order(site):
    pod = new_pod(site)

    made = pod.create_containers([spec(site, "top", "base"), spec(site, "base")])

    assert [container.name for container in made] == ["top", "base"]
    assert made[0].inspect().dependencies == (made[1].id,)
    assert pod.start().ok


@pytest.mark.runtimes("crun")
def test_a_dependency_may_be_a_name_an_id_or_the_beginning_of_one(site):
    pod = new_pod(site)
    base = add(site, pod, "base")

    top = add(site, pod, "top", "base", base.id, base.id[:20])

    assert top.inspect().dependencies == (base.id,)


@pytest.mark.runtimes("crun")
def test_pods_and_containers_are_found_by_name_id_and_prefix(site):
    engine = site.engine()
    pod = new_pod(site, engine=engine)
    container = add(site, pod, "a")

    for reference in ("web", pod.id, pod.id[:12]):
        assert engine.pod(reference) == pod
    for reference in ("a", container.id, container.id[:12]):
        assert pod.container(reference) == container
        assert engine.container(reference) == container
    assert engine.container("web/a") == container
    assert engine.container(f"{pod.id[:12]}/{container.id[:12]}") == container
    assert [c.name for c in pod.containers()] == ["a"]
    assert engine.pods() == [pod]


@pytest.mark.runtimes("crun")
def test_a_reference_that_fits_several_names_them(site):
    engine = site.engine()
    pods = [new_pod(site, name, engine=engine) for name in ("one", "two")]
    same = [add(site, pod, "same") for pod in pods]

    with pytest.raises(podcore.AmbiguousReferenceError) as caught:
        engine.container("same")

    assert caught.value.matches == tuple(container.id for container in same)
    assert engine.container("two/same") == same[1]
    # 17 containers: at least two share the first digit of their ids.
    made = pods[0].create_containers([spec(site, f"x{number}") for number in range(17)])
    digits = [container.id[0] for container in made]
    digit = next(d for d in digits if digits.count(d) > 1)
    with pytest.raises(podcore.AmbiguousReferenceError) as caught:
        pods[0].container(digit)
    assert all(match.startswith(digit) for match in caught.value.matches)


@pytest.mark.runtimes("crun")
def test_a_second_engine_sees_the_same_pods(site):
    pod = new_pod(site)
    container = add(site, pod, "a")
    pod.start()
    pod._engine.close()

    other = site.engine().pod("web")

    assert other.container("a").pid
    assert other.container("a").id == container.id
    assert other.stop(timeout=0).ok


@pytest.mark.runtimes("runc")
def test_a_container_keeps_its_runtime(site):
    pod = new_pod(site)
    container = add(site, pod, "a")

    other = site.engine(oci_runtime="crun").pod("web").container("a")

    assert other.inspect().oci_runtime == container.inspect().oci_runtime
    assert container.inspect().oci_runtime.endswith("/runc")


@pytest.mark.runtimes("crun")
def test_both_runtimes_in_one_pod(site):
    pod = new_pod(site)
    add(site, pod, "a", oci_runtime="crun")
    add(site, pod, "b", "a", oci_runtime="runc")

    assert pod.start().ok
    assert pod.stop(timeout=0).ok


@pytest.mark.runtimes("crun")
@pytest.mark.parametrize("says", ["", "youki version 0.5.0"], ids=["nothing", "another"])
def test_a_program_that_is_no_known_runtime_is_refused_before_a_container_keeps_it(
    says, site, tmp_path
):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho '{says}'\n")
    program.chmod(0o755)
    pod = new_pod(site)

    with pytest.raises(podcore.OCIRuntimeError, match=r"hint: .*runc and crun"):
        add(site, pod, "a", oci_runtime=str(program))
    with pytest.raises(podcore.OCIRuntimeError, match=r"hint: .*runc and crun"):
        add(site, site.engine(oci_runtime=str(program)).pod("web"), "a")

    assert pod.containers() == []


@pytest.mark.runtimes("crun")
def test_a_container_is_in_the_cgroup_of_its_pod_whatever_the_engine_has_for_new_ones(site):
    pod = new_pod(site)
    other = site.engine(cgroup_parent=f"{site.cgroup_parent}-other").pod("web")

    container = add(site, other, "a")

    assert container.inspect().cgroup_path == f"{pod.inspect().cgroup_path}/{container.id}"
