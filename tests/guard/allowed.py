"""What the guard of the tests allows."""

from guard.policy import Policy

POLICY = Policy(
    project="gw",
    images=frozenset({"ghostwriter-training"}),
    volumes={"gw_home": ("/var/lib/ghostwriter", False), "gw_netrc": ("/run/ghostwriter", True)},
    network="gw_training",
    memory=2**30,
)
