"""`export`, `clean` and `import`: the archive out as JSONL, HTML to text, and a browser's recording into the archive."""

import argparse
import json
import sys
from pathlib import Path

from ghostwriter.collecting.clean import clean
from ghostwriter.collecting.collect import import_har
from ghostwriter.collecting.export import export_rows
from ghostwriter.collecting.sources.errors import SourceFileUnusable
from ghostwriter.commands.options import home_of
from ghostwriter.writer import load_writer


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `export answers`, `clean`, `import har` and `import browser`."""
    export = commands.add_parser("export", help="print what is archived").add_subparsers(metavar="WHAT", required=True)
    parser = export.add_parser("answers", help="every archived answer as JSONL")
    parser.add_argument("writer", metavar="WRITER", help="stem of a file in writers/")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.add_argument("--no-mask", action="store_true", help="leave phone numbers, e-mail addresses and other personal data in")
    parser.set_defaults(run=run_export)
    parser = commands.add_parser("clean", help="HTML to text, never masked")
    parser.add_argument("file", metavar="FILE|-", help="an HTML file, or - for standard input")
    parser.set_defaults(run=run_clean)
    imports = commands.add_parser("import", help="read answers from a file").add_subparsers(metavar="FORMAT", required=True)
    parser = imports.add_parser("har", help="a browser's recording (HAR) of a writer's answers page")
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--writer", required=True, metavar="WRITER", help="stem of a file in writers/")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run_import)
    parser = imports.add_parser("browser", help="what your own browser gets as you scroll through the answers page")
    parser.add_argument("--writer", required=True, metavar="WRITER", help="stem of a file in writers/")
    parser.add_argument("--port", type=int, default=9222, help="the browser's --remote-debugging-port on this machine (default: 9222)")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run_browser)


def run_export(arguments: argparse.Namespace) -> int:
    """Print one JSON object a line; nothing for an empty archive."""
    writer = load_writer(arguments.writer)
    try:
        for row in export_rows(home_of(arguments), writer.stem, masked=not arguments.no_mask):
            sys.stdout.buffer.write((json.dumps(row, ensure_ascii=False) + "\n").encode("utf-8", errors="replace"))
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        sys.stderr.close()  # the reader (head, less) has seen enough
    return 0


def run_clean(arguments: argparse.Namespace) -> int:
    """Print the text of an HTML file."""
    try:
        content = sys.stdin.buffer.read() if arguments.file == "-" else Path(arguments.file).read_bytes()
    except OSError as error:
        raise SourceFileUnusable(f"{arguments.file} cannot be read ({error.strerror}).") from None
    text = clean(content.decode("utf-8-sig", errors="replace")).text
    sys.stdout.buffer.write((text + "\n" if text else "").encode("utf-8", errors="replace"))
    return 0


def run_import(arguments: argparse.Namespace) -> int:
    """Put the pages of a recording into the archive and say what came of it."""
    report = import_har(load_writer(arguments.writer), home_of(arguments), arguments.file)
    print(report.statement)
    return 0


def run_browser(arguments: argparse.Namespace) -> int:
    """Listen to a browser, put what it got into the archive, and say what came of it; a recording that is broken off can be imported."""
    from ghostwriter.collecting.sources.browser import record

    writer, home = load_writer(arguments.writer), home_of(arguments)
    home.check_space()
    file = home.path / f"browser-{writer.stem}.har"
    print(f"What comes is kept in {file} until it is archived; `import har` reads it, if this is killed.", flush=True)
    try:
        pages = record(arguments.port, writer.source.account, file, lambda words: print(words, flush=True))
    except KeyboardInterrupt:
        pages = int(file.exists())
    if not pages:
        print("The browser got no page of the list. Reload the answers page while this listens, and scroll.")
        return 1
    report = import_har(writer, home, file)
    file.unlink()
    print(report.statement)
    return 0
