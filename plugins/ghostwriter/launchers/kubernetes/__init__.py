"""Launcher `kubernetes`: a stage as one pod, or as an indexed Job of several. Imported only where it is chosen; it takes seconds."""
