"""What this package needs of Linux: processes, cgroups, files, mounts and programs to run.

The modules take and return plain strings and numbers, and none knows what a pod is.
"""
