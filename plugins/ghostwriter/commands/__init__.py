"""The command line's commands: each module has `add_commands(subparsers)`; a command returns the exit status."""
