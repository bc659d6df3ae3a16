"""What is verified: one check per claim, verdicts, the ledger, figures."""

from .ledger import Ledger, require_writable, slack_text, write_whole
from .networks.figures import calibration_figure, gap_figure, occupancy_figure, shadow_price_figure
from .verdict import LEVELS, Evidence, Findings, Level, Outcome, Verdict
from .verification import CHECKS, verify

__all__ = [
    "CHECKS",
    "LEVELS",
    "Evidence",
    "Findings",
    "Ledger",
    "Level",
    "Outcome",
    "Verdict",
    "calibration_figure",
    "gap_figure",
    "occupancy_figure",
    "require_writable",
    "shadow_price_figure",
    "slack_text",
    "verify",
    "write_whole",
]
