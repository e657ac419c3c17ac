"""Launchers: a request file into a finished stage, as a local process, a container or a pod.

Others use `stages.stage_task` (which picks one), `local.LocalStage` and `outcome.stage_outcome`. Imports tasks.body and what is below.
"""
