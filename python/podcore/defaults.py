"""What holds unless a user says otherwise, where knowing it must cost no import."""

SHARE = ("ipc", "net", "uts")
"""What the containers of a pod share (podman's and Kubernetes' set)."""
