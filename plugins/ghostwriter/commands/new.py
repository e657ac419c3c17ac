"""`new`: five questions, each answer checked as it is given, become a writer file and its connections."""

import argparse
import getpass
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, TypeVar

from ghostwriter.commands.writer_file import save_connection, try_source, try_teacher, what_can_train, writer_text
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.tasks.form_estimate import form_estimate
from ghostwriter.teacher.presets import Preset, load_presets
from ghostwriter.writer import STEM, load_writer, writers_folder

Answer = TypeVar("Answer")
KINDS = {
    "zhihu": "the token in the profile's address, zhihu.com/people/TOKEN",
    "stackexchange": "site/user id, like cooking/12345",
    "jsonl": "a file with one answer a line: id, question, answer",
    "har": "a recording of the answers page from your browser",
}


class NotUsable(GhostwriterError):
    """An answer that cannot be used; the question is asked again."""

    code = "not_usable"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `new`."""
    parser = commands.add_parser("new", help="answer five questions, get a writer file and its connections")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask, check, write; say what comes next and what it will cost."""
    home = Home(arguments.home.resolve()) if arguments.home else Home.default()
    home.check_space()
    name, stem = ask(_name)
    language = ask(lambda: _one_of("2. Language of the answers", {"en": "English", "zh": "Chinese"}))
    source, secrets = ask(lambda: _source(stem, language))
    teacher, budget, key = ask(_teacher)
    recipe = _gpu(language)
    path = writers_folder() / f"{stem}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(writer_text(name, language, source, {**teacher, "connection": f"{stem}_teacher"}, budget, recipe), encoding="utf-8")
    writer = load_writer(stem)
    if source.get("connection"):
        save_connection(home, source["connection"], None, secrets.get("cookie"), login=secrets.get("user_agent"))
    save_connection(home, f"{stem}_teacher", teacher["base_url"], key)
    made = " and ".join(filter(None, (f"{stem}_teacher", source.get("connection"))))
    print(f"\nWritten: {path}. Connections made: {made}.")
    print(form_estimate(writer, home))
    print(f"Next: `make start` and switch on the DAGs {stem}_..., or a whole night by hand: .venv/bin/python -m ghostwriter run {stem}")
    return 0


def ask(question: Callable[[], Answer]) -> Answer:
    """Ask until the answer can be used; Ctrl-C ends it, with nothing written."""
    while True:
        try:
            return question()
        except GhostwriterError as error:
            print(f"   That does not work: {error}\n")


def _name() -> tuple[str, str]:
    name = input("1. The writer's name: ").strip()
    if not name:
        raise NotUsable("a name is needed.")
    proposed = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    proposed = proposed if re.match(STEM, proposed) else ""
    stem = input(f"   A short name for files and DAGs, in a to z{f' [{proposed}]' if proposed else ''}: ").strip() or proposed
    if not re.match(STEM, stem):
        raise NotUsable(f"{stem!r} is no short name: 2 to 41 of a to z, 0 to 9 and _, a letter first.")
    if (writers_folder() / f"{stem}.toml").exists():
        raise NotUsable(f"there is a writer {stem!r} already. Choose another short name, or change {writers_folder() / stem}.toml by hand.")
    return name, stem


def _one_of(question: str, choices: dict[str, str]) -> str:
    print(question)
    for number, (name, words) in enumerate(choices.items(), start=1):
        print(f"   {number}) {name}: {words}")
    answer = input("   Number or word: ").strip().lower()
    names = list(choices)
    chosen = names[int(answer) - 1] if answer.isdecimal() and 1 <= int(answer) <= len(names) else answer
    if chosen not in choices:
        raise NotUsable(f"{answer!r} is none of {', '.join(names)}.")
    return chosen


def _source(stem: str, language: str) -> tuple[dict[str, Any], dict[str, str]]:
    kind = _one_of("3. Where the answers are", KINDS)
    account = input(f"   {KINDS[kind]}: ").strip()
    source: dict[str, Any] = {"kind": kind, "account": account}
    secrets: dict[str, str] = {}
    if kind == "zhihu":
        secrets["cookie"] = getpass.getpass("   Your browser's whole Cookie header (not shown): ")
        secrets["user_agent"] = input("   Your browser's User-Agent: ").strip()
        source["connection"] = f"{stem}_site"
    total = try_source(source, language, secrets)
    print(f"   It can be read: {total if total is not None else 'an unknown number of'} answers.")
    return source, secrets


def _teacher() -> tuple[dict[str, Any], dict[str, Decimal], str]:
    presets = load_presets()
    own = {"other": Preset(title="another OpenAI-compatible address", base_url="")}
    chosen = _one_of("4. The teacher", {name: preset.title for name, preset in (presets | own).items()})
    preset = (presets | own)[chosen]
    base_url = input(f"   Its base URL{f' [{preset.base_url}]' if preset.base_url else ''}: ").strip() or preset.base_url
    key = getpass.getpass("   Its key (not shown; empty for none): ").strip() or "none"
    model, said = try_teacher(preset, base_url, key, lambda proposed: input(f"   Model{f' [{proposed}]' if proposed else ''}: ").strip())
    print(f"   It answered ({said}).")
    teacher = {"base_url": base_url, "model": model, "parameters": preset.parameters, "token_limit": preset.token_limit}
    return teacher, {} if preset.is_free else _prices(preset), key


def _prices(preset: Preset) -> dict[str, Decimal]:
    if preset.prices_page:
        print(f"   Prices of {preset.prices_date}: {preset.prices_page}")
    print("   Prices stand on the vendor's page. A million tokens, in the vendor's currency; empty for free.")
    asked = {
        "input_price": ("Input", preset.input_price),
        "output_price": ("Output", preset.output_price),
        "cap": ("Hard cap of a run (no call is sent that could cross it; empty for none)", None),
    }
    given = {name: _number(f"   {words}{f' [{known}]' if known is not None else ''}: ", known) for name, (words, known) in asked.items()}
    return {name: value for name, value in given.items() if value is not None}


def _number(words: str, known: Decimal | None) -> Decimal | None:
    text = input(words).strip()
    try:
        value = Decimal(text) if text else known
    except InvalidOperation:
        value = Decimal(-1)
    if value is not None and (not value.is_finite() or value < 0):
        raise NotUsable(f"{text!r} is no price: a number like 0.27.")
    return value


def _gpu(language: str) -> str:
    recipe, words = what_can_train(language)
    print(f"5. The GPU\n   {words}")
    return input(f"   Recipe [{recipe}]: ").strip() or recipe
