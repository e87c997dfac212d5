"""The verbs of a pod: snapshot, graph, traversal, workers, report."""
