"""What `new` and `doctor` try and write: a source, a teacher, the GPU, a connection, a writer file."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import cache
from typing import Any

from pydantic import SecretStr

from ghostwriter.collecting.sources import open_source
from ghostwriter.collecting.sources.errors import NotFound
from ghostwriter.collecting.sources.record import Source
from ghostwriter.errors import LaunchError
from ghostwriter.home import ROOT, Home
from ghostwriter.launchers.local import training_python
from ghostwriter.model_settings import Teacher as TeacherSettings
from ghostwriter.teacher.client import Endpoint, TeacherModelUnknown
from ghostwriter.teacher.presets import Preset
from ghostwriter.teacher.trial import models, one_call
from ghostwriter.writer import Writer

RECIPES = (("qwen2.5-7b-style", 70), ("qwen2.5-7b-style-48gb", 44), ("qwen2.5-7b-style-24gb", 22), ("smollm2-135m", 4))
"""Recipes and the GPU memory (GiB) each needs, the best first."""
CPU_RECIPE = "smollm2-135m-demo"
ANSWERS: int = TeacherSettings.model_fields["answers"].default
"""Of a teacher, unless a writer file says otherwise."""
ASK_GPU = """
import json, torch
found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
print(json.dumps([[one.name, one.total_memory / 2**30] for one in found]))
"""


def try_source(source: Mapping[str, Any], language: str, secrets: Mapping[str, str], site: str | None = None) -> int | None:
    """Read the first page with one request; returns how many answers the site counts, None when it does not say. Raises SourceError."""
    values = {"stem": "new", "name": "new", "language": language, "source": source, "teacher": {"connection": "none", "model": "none"}}
    writer = Writer.model_validate(values)
    user_agent = secrets.get("user_agent") or None
    return first_page(open_source(writer, cookie=secrets.get("cookie"), user_agent=user_agent, site=site, pace=0, retry=False))


def first_page(source: Source) -> int | None:
    """How many answers there are, by the first page or by counting them. Raises SourceError, NotFound for a list that is empty."""
    source.check()
    page = source.page(0)
    if not page.records and not page.total:
        raise NotFound("The list is empty: there is no answer to read.")
    return page.total


def try_teacher(preset: Preset, base_url: str, key: str, choose: Callable[[str | None], str]) -> tuple[str, str]:
    """Have a model chosen and make one cheap call; returns the model and what it took.

    What does not work is asked for again: a model the address does not serve here, key and address by the caller. Raises TeacherError,
    ConnectionMissing.
    """
    endpoint = Endpoint(base_url=base_url, key=SecretStr(key))
    known = models(endpoint)
    if known:
        print(f"   It serves: {', '.join(known[:12])}{' ...' if len(known) > 12 else ''}")
    proposed = preset.model if not known or preset.model in known else known[0]
    while True:
        model = choose(proposed)
        try:
            if not model:
                raise TeacherModelUnknown("a model is needed: its name as the teacher's page spells it.")
            return model, asyncio.run(one_call(endpoint, {"model": model, preset.token_limit: 16, **preset.parameters}))
        except TeacherModelUnknown as error:
            print(f"   That does not work: {error}\n")


def what_can_train(language: str) -> tuple[str, str]:
    """The best recipe for this machine, and why, in words."""
    try:
        found = gpus()
    except LaunchError as error:
        return CPU_RECIPE, f"{error} Until then nobody knows what GPU there is."
    if not found:
        small = " It hardly knows Chinese: for more than a try a GPU is needed." if language == "zh" else ""
        return CPU_RECIPE, f"The training environment sees no GPU. A model of 135M can be trained on the CPU.{small}"
    name, memory = min(found, key=lambda gpu: gpu[1])
    return fitting(memory), f"{len(found)} x {name}, {memory:.0f} GiB each."


def fitting(memory: float) -> str:
    """The best recipe for a GPU of so many GiB, 0 for none."""
    return next((recipe for recipe, needed in RECIPES if memory >= needed), CPU_RECIPE)


@cache
def gpus() -> list[tuple[str, float]]:
    """Name and memory (GiB) of each GPU the training environment sees. Raises LaunchError without that environment."""
    done = subprocess.run([training_python(), "-c", ASK_GPU], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise LaunchError(f"The training environment does not work: {last}. Make it again: make install.")
    return [(name, memory) for name, memory in json.loads(done.stdout)]


def save_connection(home: Home, name: str, kind: str, **fields: str | None) -> None:
    """Create a connection of one of our types in Airflow's database, or replace it; `fields` are host, login and password.

    Port 0, because Airflow's Test button refuses a stored connection without one (`ghostwriter.provider.info`).
    """
    from ghostwriter.commands.services import own_airflow

    own_airflow(home)
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == name))
        session.add(Connection(conn_id=name, conn_type=kind, port=0, **{field: value or None for field, value in fields.items()}))


def writer_text(
    name: str, language: str, source: Mapping[str, Any], teacher: Mapping[str, Any], budget: Mapping[str, Decimal], recipe: str
) -> str:
    """The writer file, with what differs from the defaults."""
    asked = {key: teacher[key] for key in ("connection", "model") if teacher.get(key)}
    if teacher.get("answers", ANSWERS) != ANSWERS:
        asked["answers"] = teacher["answers"]
    if teacher.get("token_limit", "max_tokens") != "max_tokens":
        asked["token_limit"] = teacher["token_limit"]
    if teacher.get("batch"):
        asked["batch"] = True
    if teacher.get("parameters"):
        asked["parameters"] = teacher["parameters"]
    tables: dict[str, Mapping[str, Any]] = {"source": source, "teacher": asked, "budget": budget, "training": {"recipe": recipe}}
    lines = [f"name = {_toml(name)}", f"language = {_toml(language)}"]
    for table, values in tables.items():
        if values:
            lines += ["", f"[{table}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float, Decimal)) else json.dumps(value, ensure_ascii=False)
