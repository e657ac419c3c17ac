"""`new`: five questions, each answer checked as it is given, become a writer file and its connections."""

import argparse
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from ghostwriter.commands.collect import read_cookie_file
from ghostwriter.commands.first_hour.first_run import answers_for, first_run
from ghostwriter.commands.first_hour.questions import Dialogue, NotUsable, ask
from ghostwriter.commands.first_hour.writer_file import save_connection, try_source, try_teacher, what_can_train, writer_text
from ghostwriter.commands.options import home_of
from ghostwriter.commands.services import own_airflow
from ghostwriter.home import Home
from ghostwriter.tasks.connections import SITES
from ghostwriter.teacher.presets import Preset, load_presets
from ghostwriter.writer import STEM, load_writer, writers_folder
from training.contract import recipe_names

INTERRUPTED = 130
LONGEST_PATH = 1_000
KINDS = {
    "zhihu": "the token in the profile's address, zhihu.com/people/TOKEN",
    "stackexchange": "site/user id, like cooking/12345",
    "jsonl": "a JSONL file (a row has question and answer), or a folder of .txt, .md or .html files",
    "har": "a recording of the answers page from your browser",
}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `new`."""
    parser = commands.add_parser("new", help="answer five questions, get a writer file and its connections")
    parser.add_argument("--site", metavar="URL", help="another address of the site, for tests")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask, check, write; say what comes next and what it will cost."""
    try:
        return _new(home_of(arguments), arguments.site)
    except (KeyboardInterrupt, EOFError):
        print("\nStopped. No writer was made; start again with the same command.")
        return INTERRUPTED


def _new(home: Home, site: str | None) -> int:
    """Whatever can fail without the person's doing fails before the first question; the file comes last, so it is never half a writer."""
    home.check_space()
    print("Five questions, each answer tried as you give it. Ctrl-C stops, with nothing written.", flush=True)
    own_airflow(home)
    name, stem = ask(_name)
    language = ask(lambda: Dialogue().one_of("language", "2. Language of the answers", {"en": "English", "zh": "Chinese"}))
    third, fourth = Dialogue(), Dialogue()
    source, secrets, total = ask(lambda: _source(third, stem, language, site))
    teacher, preset, key = ask(lambda: _teacher(fourth))
    budget = {} if preset.is_free else _prices(preset)
    recipe = _gpu(language)
    asked = {**teacher, "connection": f"{stem}_teacher", "answers": answers_for(recipe)}
    text = writer_text(name, language, source, asked, budget, recipe)
    made = _connect(home, f"{stem}_teacher", "teacher", teacher["base_url"], host=teacher["base_url"], password=key)
    if name_of := source.get("connection"):
        kind, access = source["kind"], {"host": site, "password": secrets["cookie"], "login": secrets["user_agent"]}
        made += " and " + _connect(home, name_of, kind, site or SITES[kind], **access)
    path = writers_folder() / f"{stem}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    print(f"\nWritten: {path}. Connections made: {made}.")
    print("The first run:\n" + "\n".join(f"   {line}" for line in first_run(load_writer(stem), home, total)))
    print(f"Next: .venv/bin/python -m ghostwriter doctor {stem}, then a whole night by hand: .venv/bin/python -m ghostwriter run {stem}")
    print(f"Or every night by itself: make start, and switch {stem}_collect on there.")
    return 0


def _connect(home: Home, name: str, kind: str, address: str, **fields: str | None) -> str:
    """Make a connection and confirm that its secret goes to `address`, wherever one of that name led before; returns the name."""
    from ghostwriter.tasks.trusted_hosts import trust

    save_connection(home, name, kind, **fields)
    trust(name, address, home)
    return name


def _name() -> tuple[str, str]:
    name = input("1. The writer's name: ").strip()
    if not name:
        raise NotUsable("a name is needed.")
    proposed = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    proposed = proposed if re.match(STEM, proposed) else ""
    return name, ask(lambda: _short_name(proposed))


def _short_name(proposed: str) -> str:
    stem = Dialogue().line("stem", "A short name for files and DAGs, in a to z", proposed)
    if not re.match(STEM, stem):
        raise NotUsable(f"{stem!r} is no short name: 2 to 41 of a to z, 0 to 9 and _, a letter first.")
    path = writers_folder() / f"{stem}.toml"
    if path.exists():
        raise NotUsable(f"there is a writer {stem!r} already. Choose another short name, or change {path} by hand.")
    return stem


def _source(typed: Dialogue, stem: str, language: str, site: str | None) -> tuple[dict[str, Any], dict[str, str], int | None]:
    """The source, its cookie and User-Agent, and how many answers the site counts."""
    kind = typed.one_of("kind", "3. Where the answers are", KINDS)
    account = typed.line(f"account of {kind}", KINDS[kind])
    if not account:
        raise NotUsable(f"one is needed: {KINDS[kind]}.")
    source: dict[str, Any] = {"kind": kind, "account": account}
    secrets: dict[str, str] = {}
    if kind == "zhihu":
        secrets["cookie"] = _cookie(typed.secret("cookie", "Your browser's whole Cookie header, or a file that holds it (not shown)"))
        secrets["user_agent"] = typed.line("user agent", "Your browser's User-Agent (empty: a Chrome's)")
        source["connection"] = f"{stem}_site"
    total = try_source(source, language, secrets, site)
    print(f"   It can be read: {total if total is not None else 'an unknown number of'} answers.")
    return source, secrets, total


def _cookie(text: str) -> str:
    """The cookie as pasted, or what stands in the file of that name. Raises SourceFileUnusable."""
    path = Path(text).expanduser() if text and len(text) < LONGEST_PATH else None
    return (read_cookie_file(path) or "") if path and path.is_file() else text


def _teacher(typed: Dialogue) -> tuple[dict[str, Any], Preset, str]:
    presets = load_presets() | {"other": Preset(title="another OpenAI-compatible address", base_url="")}
    chosen = typed.one_of("preset", "4. The teacher", {name: preset.title for name, preset in presets.items()})
    preset = presets[chosen]
    base_url = typed.line(f"base URL of {chosen}", "Its base URL", preset.base_url)
    key = typed.secret(f"key of {chosen}", "Its key (not shown; empty for none)") or "none"
    model, said = try_teacher(preset, base_url, key, lambda proposed: Dialogue().line("model", "Model", proposed or ""))
    print(f"   {model} answered ({said}).")
    answering = {"parameters": preset.parameters, "token_limit": preset.token_limit, "batch": preset.batch}
    return {"base_url": base_url, "model": model, **answering}, preset, key


def _prices(preset: Preset) -> dict[str, Decimal]:
    if preset.prices_page:
        print(f"   Prices of {preset.prices_date}: {preset.prices_page}")
    print("   Prices stand on the vendor's page: for a million tokens, in the vendor's currency; empty for free.")
    asked = {
        "input_price": ("Input", preset.input_price),
        "output_price": ("Output", preset.output_price),
        "cap": ("Hard cap of a run (no call is sent that could cross it; empty for none)", None),
    }
    given = {name: _number(words, known) for name, (words, known) in asked.items()}
    return {name: value for name, value in given.items() if value is not None}


def _number(words: str, known: Decimal | None) -> Decimal | None:
    """A price, asked for until it is one; None for an empty answer where none is known."""

    def once() -> Decimal | None:
        text = Dialogue().line("price", words, "" if known is None else str(known))
        try:
            value = Decimal(text) if text else None
        except InvalidOperation:
            value = Decimal(-1)
        if value is not None and (not value.is_finite() or value < 0):
            raise NotUsable(f"{text!r} is no price: a number like 0.27.")
        return value

    return ask(once)


def _gpu(language: str) -> str:
    recipe, words = what_can_train(language)
    print(f"5. The GPU\n   {words}")

    def once() -> str:
        chosen = Dialogue().line("recipe", "Recipe", recipe)
        if chosen not in recipe_names():
            raise NotUsable(f"there is no recipe {chosen!r}; there are: {', '.join(recipe_names())}.")
        return chosen

    return ask(once)
