"""The store against a dictionary: whatever is done in whatever order, both say the same."""

import copy
import shutil
import tempfile
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from podcore._core import LockTable
from podcore.errors import ContainerExistsError, InternalError, PodExistsError
from podcore.model import ContainerStatus, Limits
from podcore.records import Intent, ProcessIdentity, Verb
from podcore.store import Store
from store.builders import new_container, new_pod

names = st.sampled_from(["a", "b", "c", "d"])
processes = st.none() | st.builds(ProcessIdentity, st.integers(1, 9), st.integers(0, 1 << 40))
changes = st.fixed_dictionaries(
    {
        "state": st.sampled_from(list(ContainerStatus)),
        "incarnation": st.integers(0, 5),
        "init": processes,
        "monitor": processes,
        "exit_code": st.none() | st.integers(0, 255),
        "reason": st.text(max_size=5).filter(lambda text: text.isprintable()),
        "oom_killed": st.booleans(),
        "started": st.none() | st.floats(0, 1e10),
        "intent": st.none()
        | st.builds(
            Intent, st.sampled_from(list(Verb)), processes.filter(bool), st.floats(0, 1e10)
        ),
    }
)


class StoreMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.directory = tempfile.mkdtemp(prefix="podcore-store-")
        self.locks = LockTable(f"{self.directory}/locks")
        self.session = self.locks.session("test")
        self.store = Store.open(self.directory, self.locks)
        self.pods = {}
        self.containers = {}
        self.transaction = None
        self.saved = None
        self.highest = {"pod": 0, "container": 0}

    def teardown(self):
        if self.transaction is not None:
            self.transaction.__exit__(None, None, None)
        self.session.close()
        self.store.close()
        shutil.rmtree(self.directory)

    def fresh(self, kind, number):
        assert number > self.highest[kind], "a number was used again"
        self.highest[kind] = number

    inside = precondition(lambda self: self.transaction is not None)
    outside = precondition(lambda self: self.transaction is None)

    @outside
    @rule(durable=st.booleans())
    def begin(self, durable):
        self.saved = copy.deepcopy((self.pods, self.containers, self.highest))
        self.transaction = self.store.write(self.session, durable=durable)
        self.change = self.transaction.__enter__()

    @inside
    @rule()
    def commit(self):
        dangling = any(
            one.pod_id not in self.pods
            or any(edge.id not in self.containers for edge in one.dependencies)
            for one in self.containers.values()
        )
        try:
            self.transaction.__exit__(None, None, None)
        except InternalError:
            assert dangling
            self.pods, self.containers, self.highest = self.saved
        else:
            assert not dangling
        self.transaction = None

    @inside
    @rule()
    def roll_back(self):
        failure = RuntimeError("undo")
        try:
            self.transaction.__exit__(RuntimeError, failure, None)
        except RuntimeError as error:
            assert error is failure  # noqa: PT017 -- the context manager hands it on
        # Numbers of what was undone may come again: nobody has seen them.
        self.pods, self.containers, self.highest = self.saved
        self.transaction = None

    @inside
    @rule(name=names)
    def add_pod(self, name):
        taken = any(pod.name == name for pod in self.pods.values())
        try:
            pod = self.change.add_pod(new_pod(name))
        except PodExistsError:
            assert taken
            return
        assert not taken
        self.fresh("pod", pod.number)
        self.pods[pod.id] = pod

    @inside
    @rule(data=st.data(), name=names)
    def add_container(self, data, name):
        if not self.pods:
            return
        pod = self.pods[data.draw(st.sampled_from(list(self.pods)))]
        siblings = [one for one in self.containers.values() if one.pod_id == pod.id]
        edges = data.draw(
            st.lists(st.sampled_from(siblings), max_size=2, unique_by=id)
            if siblings
            else st.just([])
        )
        taken = any(one.name == name for one in siblings)
        try:
            made = self.change.add_container(new_container(pod, name, depends_on=edges))
        except ContainerExistsError:
            assert taken
            return
        assert not taken
        self.fresh("container", made.number)
        self.containers[made.id] = made

    @inside
    @rule(data=st.data(), fields=changes, memory=st.none() | st.integers(1, 9))
    def save_container(self, data, fields, memory):
        if not self.containers:
            return
        identifier = data.draw(st.sampled_from(list(self.containers)))
        record = data.draw(st.sampled_from(["read", "own"]))
        old = self.change.container(identifier) if record == "read" else self.containers[identifier]
        new = old.but(**fields)
        if memory is not None:
            new = new.but(spec=replace(new.spec, limits=Limits(memory=memory)))
        self.change.save_container(new)
        self.containers[identifier] = new

    @inside
    @rule(data=st.data())
    def save_pod(self, data):
        if not self.pods:
            return
        pod = self.pods[data.draw(st.sampled_from(list(self.pods)))]
        new = replace(pod, removing=not pod.removing, infra_id="x")
        self.change.save_pod(new)
        self.pods[pod.id] = new

    @inside
    @rule(data=st.data())
    def delete_container(self, data):
        if self.containers:
            identifier = data.draw(st.sampled_from(list(self.containers)))
            self.change.delete_container(identifier)
            del self.containers[identifier]

    @inside
    @rule(data=st.data())
    def delete_pod(self, data):
        if self.pods:
            identifier = data.draw(st.sampled_from(list(self.pods)))
            self.change.delete_pod(identifier)
            del self.pods[identifier]

    @outside
    @rule()
    def reopen(self):
        self.store.close()
        self.store = Store.open(self.directory, self.locks)

    @invariant()
    def readers_see_what_was_committed(self):
        pods, containers = (self.saved if self.transaction else (self.pods, self.containers))[:2]
        with self.store.read() as view:
            assert view.pods() == list(pods.values())
            assert view.containers() == list(containers.values())

    @invariant()
    def the_writer_sees_its_own(self):
        if self.transaction is not None:
            assert self.change.pods() == list(self.pods.values())
            assert self.change.containers() == list(self.containers.values())

    @invariant()
    def nothing_else_is_held(self):
        assert [kind for kind, _, _ in self.session.held] == ["store"] * bool(self.transaction)


TestStore = StoreMachine.TestCase
TestStore.settings = settings(max_examples=40, stateful_step_count=30)
