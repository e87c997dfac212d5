"""What knows the command line of OCI runtimes; runc and crun differ in their own files only."""
