"""`python -m guard`: serve the guarded Docker API until SIGTERM; GUARD_* say what is allowed."""

import logging
import os
import signal
import sys

from guard.engine import Engine
from guard.keeper import start_thread
from guard.leases import Leases
from guard.policy import Policy, SettingsError
from guard.proxy import Guard

log = logging.getLogger("guard")
ADDRESS = ("0.0.0.0", 2375)


def main() -> None:
    """Read the settings, serve, keep the leases: when the keeper ends, so does the process."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        policy = Policy.from_environment()
    except SettingsError as error:
        sys.exit(str(error))
    engine = Engine(os.environ.get("GUARD_SOCKET", "/var/run/docker.sock"))
    guard = Guard(ADDRESS, policy, engine, Leases())
    start_thread(guard.serve_forever)
    log.info("Guarding %s: %s", engine.path, policy)
    guard.keeper.run()


if __name__ == "__main__":
    main()
