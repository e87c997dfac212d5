"""Hypothesis strategies that tests share: dependency mappings with and without cycles."""

from hypothesis import strategies as st

Dependencies = dict[str, list[str]]

# Short ids hit more often; the rest are ids as they come: any text, with lone surrogates too.
names = st.one_of(
    st.sampled_from([f"c{i}" for i in range(12)]),
    st.text(st.characters(), max_size=4),
)


@st.composite
def dags(draw: st.DrawFn, *, max_size: int = 12) -> Dependencies:
    """Mappings without cycles, keys in any order, dependencies with duplicates."""
    nodes = draw(st.lists(names, unique=True, max_size=max_size))
    rows = {
        node: draw(st.lists(st.sampled_from(nodes[:place]), max_size=5)) if place else []
        for place, node in enumerate(nodes)
    }
    return {node: rows[node] for node in draw(st.permutations(nodes))}


@st.composite
def digraphs(draw: st.DrawFn, *, max_size: int = 9) -> Dependencies:
    """Mappings that may have cycles, self-dependencies included."""
    nodes = draw(st.lists(names, unique=True, max_size=max_size))
    if not nodes:
        return {}
    return {node: draw(st.lists(st.sampled_from(nodes), max_size=3)) for node in nodes}


@st.composite
def inputs(draw: st.DrawFn, *, max_size: int = 9) -> Dependencies:
    """Mappings that may have cycles and dependencies that are no keys."""
    mapping = draw(digraphs(max_size=max_size))
    for row in mapping.values():
        row.extend(draw(st.lists(names, max_size=1)))
    return mapping
