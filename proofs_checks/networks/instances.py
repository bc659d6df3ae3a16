"""The instances on which every claim about networks is checked."""

NAMED_INSTANCES = ("two-class", "azure-h100")
"""The paper's instance (Section 6.2) and the calibrated, trace-driven one."""
