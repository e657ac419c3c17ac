"""The assets that chain a writer's DAGs.

Each event carries the location of the snapshot, dataset or version it announces, for people to read: a stage that an event wakes
looks at the data itself (`ghostwriter.tasks.chain`).
"""

from airflow.sdk import Asset


def answers_asset(stem: str) -> Asset:
    """A new snapshot of the writer's answers."""
    return Asset(name=f"answers/{stem}", uri=f"ghostwriter://answers/{stem}")


def dataset_asset(stem: str) -> Asset:
    """A new dataset, ready to train on."""
    return Asset(name=f"dataset/{stem}", uri=f"ghostwriter://dataset/{stem}")


def champion_asset(stem: str) -> Asset:
    """A new champion in the registry."""
    return Asset(name=f"champion/{stem}", uri=f"ghostwriter://champion/{stem}")
