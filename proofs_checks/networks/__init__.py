"""Checks of the claims about networks of GPUs that share prefill and decode."""
