"""Options that several commands have, read: in a module that imports nothing of what a single command needs."""

import argparse

from ghostwriter.home import Home


def home_of(arguments: argparse.Namespace) -> Home:
    """The folder `--home` names, else the default one."""
    return Home(arguments.home.resolve()) if arguments.home else Home.default()
