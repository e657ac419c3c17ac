"""Commands that look after an installation: backup, restore, housekeeping, purge, migrate."""
