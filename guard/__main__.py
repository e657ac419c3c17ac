"""`python -m guard`: serve the guarded Docker API until SIGTERM; what is allowed stands in GUARD_* (guard.policy)."""

import logging
import os
import signal
import sys
import threading

from guard.engine import Engine
from guard.leases import Leases
from guard.policy import Policy
from guard.proxy import Guard


def main() -> None:
    """Read the settings, serve, keep the leases."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    engine, policy, leases = Engine(os.environ.get("GUARD_SOCKET", "/var/run/docker.sock")), Policy.from_environment(), Leases()
    threading.Thread(target=leases.keep, args=(engine, policy.project), daemon=True).start()
    logging.info("Guarding %s for %s: images %s, volumes %s.", engine.path, policy.project, *map(sorted, (policy.images, policy.volumes)))
    Guard(("0.0.0.0", 2375), policy, engine, leases).serve_forever()


if __name__ == "__main__":
    main()
