"""`contrast`: other people's answers to a writer's questions, from the site, for style to be measured against."""

import argparse
import os
import sys

from ghostwriter.collecting.other_answers import collect_others
from ghostwriter.commands.collect import INTERRUPTED, add_pace, add_site_options, log_to_stderr, read_cookie_file
from ghostwriter.commands.options import home_of
from ghostwriter.writer import Writer, load_writer


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `contrast`."""
    parser = commands.add_parser("contrast", help="read other people's answers to a writer's questions (Stack Exchange)")
    add_site_options(parser)
    add_pace(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read what is missing, and say what is there."""
    writer, home = load_writer(arguments.writer), home_of(arguments)
    home.check_space()
    try:
        with log_to_stderr():
            print(collect_others(writer, home, pace=arguments.pace, **_access(writer, arguments)))
    except KeyboardInterrupt:
        print("Stopped. Every answer read so far is kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED
    return 0


def _access(writer: Writer, arguments: argparse.Namespace) -> dict[str, str | None]:
    """Key and address: of the command line, else of the writer's connection."""
    if arguments.cookie_file or arguments.site or not writer.source.connection:
        return {"cookie": read_cookie_file(arguments.cookie_file), "site": arguments.site}
    from ghostwriter.tasks.connections import site_access

    # Outside a task Airflow looks for connections in its database only if told so.
    os.environ.setdefault("_AIRFLOW_PROCESS_CONTEXT", "server")
    return site_access(writer.source)
