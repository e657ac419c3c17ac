"""Where a secret could stand: the databases, the volumes, and the layers of the images, searched for words."""

import subprocess

from tests.docker.stack import Stack


def made_secrets(stack: Stack) -> list[str]:
    """Every password and key in the folder of secrets."""
    made = [line.split()[-1] for name in ("mlflow_netrc", "mlflow_admin_netrc") for line in (stack.secrets / name).read_text().splitlines()]
    made += [(stack.secrets / name).read_text().strip() for name in ("fernet_key", "jwt_secret", "api_secret_key", "postgres_password")]
    made += [(stack.secrets / name).read_text().split()[-1] for name in ("redis.conf", "store_credentials")]
    return made + [line.rsplit(":", 1)[-1] for line in (stack.secrets / "airflow_pgpass").read_text().splitlines()]


def dump(stack: Stack, database: str) -> str:
    """A database as text; connections stand in it encrypted."""
    command = ["pg_dump", "--username", "postgres", "--host", "/var/run/postgresql", database]
    return stack.compose("exec", "--no-TTY", "postgres", *command).stdout


def files_with(stack: Stack, volume: str, words: list[str]) -> list[str]:
    """The files of a volume in which one of the words stands."""
    mounted = f"type=volume,src=ghostwriter-test_{volume},dst=/searched,readonly"
    run = ["docker", "run", "--rm", "--user", "0", "--mount", mounted, "--entrypoint", "grep", "ghostwriter-guard"]
    searched = stack.run([*run, "-r", "-l", "-F", *_patterns(words), "/searched"], 120, check=False)
    assert searched.returncode in (0, 1), searched.stderr  # 1: nothing found
    return searched.stdout.split()


def in_layers(images: list[str], words: list[str]) -> list[str]:
    """Which of the words stand in the files of images; a layer they share is searched once."""
    with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
        searched = subprocess.run(
            ["grep", "-a", "-o", "-F", *_patterns(words)], stdin=saved.stdout, capture_output=True, text=True, check=False
        )
    assert saved.returncode == 0 and searched.returncode in (0, 1), searched.stderr
    return sorted(set(searched.stdout.splitlines()))


def _patterns(words: list[str]) -> list[str]:
    return [part for word in words for part in ("-e", word)]
