"""One container's verbs: lock, reconcile, intent, act, commit.

Each takes the calling thread's lock session and a snapshot of the container's row; the row is read
again once the lock is held. A verb leaves no lock behind, whatever happens.
"""
