"""What the nights leave behind, into what is still needed: the rest is removed, and what matters is copied elsewhere.

May import everything below tasks. Others use `tidy.tidy`, `backup.back_up` and `restore.restore`.
"""
