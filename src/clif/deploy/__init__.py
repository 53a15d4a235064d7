"""From a trained CLIF network to plain LIF neurons: `clif_to_lif`, and a `sweep` of the reset value."""

from clif.deploy.convert import clif_to_lif
from clif.deploy.run import Deployment, deploy_checkpoint
from clif.deploy.sweep import PAPER_RESETS, SweepRow, best_row, sweep

__all__ = ["PAPER_RESETS", "Deployment", "SweepRow", "best_row", "clif_to_lif", "deploy_checkpoint", "sweep"]
