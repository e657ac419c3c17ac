"""Run in a container of the stack: what launcher `docker` says of settings (JSON) that are refused there, and of no engine."""

import json
import os
import sys
from dataclasses import replace

from docker import APIClient
from ghostwriter.errors import GhostwriterError
from ghostwriter.launchers.container import ContainerSettings, create, remove
from ghostwriter.launchers.docker import remove_leftovers

settings, client = ContainerSettings.from_environment(), APIClient(base_url=os.environ["DOCKER_HOST"])
for changed in json.loads(sys.argv[1]):
    try:
        create(client, replace(settings, **changed), "problem", ["training", "--help"], {})
    except GhostwriterError as error:
        print(*changed, error)
    finally:
        remove(client, "problem")
os.environ["DOCKER_HOST"] = "tcp://127.0.0.1:9"
try:
    remove_leftovers(lambda labels: True)
except GhostwriterError as error:
    print("engine", error)
