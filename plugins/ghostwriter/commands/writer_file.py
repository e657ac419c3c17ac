"""What `new` and `doctor` try and write: a source, a teacher, the GPU, a connection, a writer file."""

import asyncio
import json
import subprocess
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import requests
from pydantic import SecretStr

from ghostwriter.collecting.sources import open_source
from ghostwriter.errors import LaunchError, TeacherError, WriterFileError
from ghostwriter.home import ROOT, Home
from ghostwriter.launchers.local import training_python
from ghostwriter.teacher.client import CallFault, Endpoint, Teacher
from ghostwriter.teacher.presets import Preset
from ghostwriter.writer import Writer
from training.contract import recipe_names

SECONDS = 60.0
RECIPES = (("qwen2.5-7b-style", 70), ("qwen2.5-7b-style-48gb", 44), ("qwen2.5-7b-style-24gb", 22), ("smollm2-135m", 4))
"""Recipes and the GPU memory (GiB) each needs, the best first."""
CPU_RECIPE = "smollm2-135m-demo"
ASK_GPU = """
import json, torch
found = [torch.cuda.get_device_properties(number) for number in range(torch.cuda.device_count())]
print(json.dumps([[one.name, one.total_memory / 2**30] for one in found]))
"""


def try_source(source: Mapping[str, Any], language: str, secrets: Mapping[str, str]) -> int | None:
    """Read the first page; returns how many answers the site counts, None when it does not say. Raises SourceError and its kinds."""
    values = {"stem": "new", "name": "new", "language": language, "source": source, "teacher": {"connection": "none", "model": "none"}}
    writer = Writer.model_validate(values)
    opened = open_source(writer, cookie=secrets.get("cookie"), user_agent=secrets.get("user_agent") or None, site=None, pace=0)
    opened.check()
    return opened.page(0).total


def try_teacher(preset: Preset, base_url: str, key: str, choose: Callable[[str | None], str]) -> tuple[str, str]:
    """Have a model chosen and make one cheap call; returns the model and what it took. Raises TeacherError, ConnectionMissing."""
    endpoint = Endpoint(base_url=base_url, key=SecretStr(key))
    known = models(endpoint)
    if known:
        print(f"   It serves: {', '.join(known[:12])}{' ...' if len(known) > 12 else ''}")
    proposed = preset.model if not known or preset.model in known else known[0]
    model = choose(proposed) or proposed
    if not model:
        raise WriterFileError("a model is needed: its name as the teacher's page spells it.")
    parameters = {"model": model, preset.token_limit: 16, **preset.parameters}
    return model, asyncio.run(one_call(endpoint, parameters))


def models(endpoint: Endpoint) -> list[str]:
    """What the address serves; empty when it does not say."""
    headers = {"Authorization": f"Bearer {endpoint.key.get_secret_value()}"}
    try:
        reply = requests.get(f"{endpoint.base_url.rstrip('/')}/models", headers=headers, timeout=SECONDS)
        return sorted(str(model["id"]) for model in reply.json()["data"]) if reply.ok else []
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return []


async def one_call(endpoint: Endpoint, parameters: dict[str, Any]) -> str:
    """The cheapest call there is; returns what it took. Raises TeacherError."""
    async with Teacher(endpoint, parameters, timeout_seconds=SECONDS, concurrency=1) as teacher:
        try:
            reply = await teacher.ask([{"role": "user", "content": "Say yes."}])
        except CallFault as fault:
            raise TeacherError(f"{fault.code}: {endpoint.without_key(fault.message)}") from None
    return f"{reply.usage.prompt} tokens in, {reply.usage.completion} out" if reply.usage else "it does not count tokens"


def what_can_train(language: str) -> tuple[str, str]:
    """The best recipe for this machine, and why, in words."""
    found = gpus()
    if not found:
        small = " It hardly knows Chinese: train on a GPU elsewhere (docs) for more than a try." if language == "zh" else ""
        return CPU_RECIPE, f"No GPU is seen by the training environment. A model of 135M can be trained on the CPU.{small}"
    name, memory = min(found, key=lambda gpu: gpu[1])
    fitting = [recipe for recipe, needed in RECIPES if recipe in recipe_names() and memory >= needed]
    return (fitting or [CPU_RECIPE])[0], f"{len(found)} x {name}, {memory:.0f} GiB each."


def gpus() -> list[tuple[str, float]]:
    """Name and memory (GiB) of each GPU the training environment sees. Raises LaunchError without that environment."""
    done = subprocess.run([training_python(), "-c", ASK_GPU], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise LaunchError(f"The training environment does not work: {last}. Make it again: make install")
    return [(name, memory) for name, memory in json.loads(done.stdout)]


def save_connection(home: Home, name: str, host: str | None, password: str | None, *, login: str | None = None) -> None:
    """Create a connection of type HTTP in Airflow's database, or bring it up to date."""
    from ghostwriter.commands.night import own_airflow

    own_airflow(home)
    from airflow.models import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(Connection).where(Connection.conn_id == name))
        session.add(Connection(conn_id=name, conn_type="http", host=host, login=login or None, password=password))


def writer_text(
    name: str, language: str, source: Mapping[str, Any], teacher: Mapping[str, Any], budget: Mapping[str, Decimal], recipe: str
) -> str:
    """The writer file, with what differs from the defaults."""
    asked = {key: teacher[key] for key in ("connection", "model") if teacher.get(key)}
    if teacher.get("token_limit", "max_tokens") != "max_tokens":
        asked["token_limit"] = teacher["token_limit"]
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
