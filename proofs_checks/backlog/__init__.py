"""Checks of the claims on backlogs under a KV budget."""
