"""The command line's commands: each module has `add_commands(subparsers)`, and each command a function of its arguments that returns the exit status."""
