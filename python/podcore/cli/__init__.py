"""The command line: one module per noun, and the only place of podcore that prints."""
