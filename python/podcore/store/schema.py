"""What the tables look like, and how older ones become like this.

Configuration that never changes (pod, container, edge) is apart from what every transition writes
(container_state), so that a transition rewrites one small row.
"""

APPLICATION_ID = 0x706F6463
"""``podc``, in the header of the file: says whose database it is."""

CREATE = """
CREATE TABLE meta (
    key TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE pod (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 64),
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    labels TEXT NOT NULL,
    share TEXT NOT NULL,
    hostname TEXT NOT NULL,
    infra INTEGER NOT NULL CHECK (infra IN (0, 1)),
    limits TEXT NOT NULL,
    cgroup_path TEXT NOT NULL,
    infra_id TEXT,
    removing INTEGER NOT NULL CHECK (removing IN (0, 1))
) STRICT;

-- The spec stands last: the fields before it are read without touching its overflow pages.
CREATE TABLE container (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE CHECK (length(id) = 64),
    name TEXT NOT NULL,
    pod_id TEXT NOT NULL REFERENCES pod (id) DEFERRABLE INITIALLY DEFERRED,
    created REAL NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('regular', 'init', 'infra')),
    spec_hash TEXT NOT NULL,
    oci_runtime TEXT NOT NULL,
    cgroup_path TEXT NOT NULL,
    spec TEXT NOT NULL,
    UNIQUE (pod_id, name)
) STRICT;

CREATE TABLE edge (
    container_id TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED,
    position INTEGER NOT NULL,
    dependency_id TEXT NOT NULL REFERENCES container (id) DEFERRABLE INITIALLY DEFERRED,
    condition TEXT NOT NULL,
    timeout REAL,
    PRIMARY KEY (container_id, position),
    UNIQUE (container_id, dependency_id),
    CHECK (container_id <> dependency_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX edge_by_dependency ON edge (dependency_id);

-- `limits` is null until an update changes those of the spec.
CREATE TABLE container_state (
    number INTEGER PRIMARY KEY REFERENCES container (number) ON DELETE CASCADE
        DEFERRABLE INITIALLY DEFERRED,
    state TEXT NOT NULL CHECK (state IN ('configured', 'created', 'running', 'paused', 'stopping',
        'exited', 'removing', 'unknown')),
    incarnation INTEGER NOT NULL,
    init_pid INTEGER,
    init_start INTEGER,
    monitor_pid INTEGER,
    monitor_start INTEGER,
    boot_id TEXT NOT NULL,
    exit_code INTEGER CHECK (exit_code BETWEEN 0 AND 255),
    reason TEXT NOT NULL,
    oom_killed INTEGER NOT NULL CHECK (oom_killed IN (0, 1)),
    started REAL,
    finished REAL,
    restarts INTEGER NOT NULL,
    intent_verb TEXT,
    intent_pid INTEGER,
    intent_start INTEGER,
    intent_since REAL,
    limits TEXT,
    CHECK ((init_pid IS NULL) = (init_start IS NULL)),
    CHECK ((monitor_pid IS NULL) = (monitor_start IS NULL)),
    CHECK ((intent_verb IS NULL) = (intent_pid IS NULL)),
    CHECK ((intent_verb IS NULL) = (intent_start IS NULL)),
    CHECK ((intent_verb IS NULL) = (intent_since IS NULL))
) STRICT;

CREATE TABLE volume (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created REAL NOT NULL,
    labels TEXT NOT NULL
) STRICT;

CREATE TABLE event (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    time REAL NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"""

MIGRATIONS: tuple[str, ...] = ()
"""Scripts: the first one brings version 1 to 2, and so on; ``CREATE`` then makes the last."""


def version() -> int:
    """Returns the version of the schema that this podcore reads and writes."""
    return 1 + len(MIGRATIONS)
