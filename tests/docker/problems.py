"""Run in a container of the stack: what launcher `docker` says of settings that are refused there.

Settings come as JSON; at the end of no engine.
"""

import json
import os
import sys
from dataclasses import replace

from docker import APIClient
from ghostwriter.errors import GhostwriterError
from ghostwriter.launchers.container import ContainerSettings, container_name, create, remove
from ghostwriter.launchers.docker import remove_leftovers

settings = ContainerSettings.from_environment()
client = APIClient(base_url=os.environ["DOCKER_HOST"])
request = f"{settings.home}/runs/problem/1/request.json"
name = container_name(settings, "train", request)
command = ["training", "train", request]
labels = {f"ghostwriter.{key}": "0" for key in ("stage", "dag", "run", "task", "map")}
for changed in json.loads(sys.argv[1]):
    changes = replace(settings, **changed)
    try:
        create(client, changes, name, command, labels)
    except GhostwriterError as error:
        print(*changed, error)
    finally:
        remove(client, name)
os.environ["DOCKER_HOST"] = "tcp://127.0.0.1:9"
try:
    remove_leftovers(lambda labels: True)
except GhostwriterError as error:
    print("engine", error)
