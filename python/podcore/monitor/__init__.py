"""What knows conmon: how it is launched, and the exit files and logs that it leaves."""
