"""From a trained CLIF network to LIF neurons: `clif_to_lif` and its fitted methods, batch norm folding, reports."""

from clif.deploy.affine import ChannelAffine
from clif.deploy.calibrate import calibrate, subtract
from clif.deploy.deployment import Deployment
from clif.deploy.exact import EVENT_GRID, exact_sums
from clif.deploy.finetune import finetune
from clif.deploy.fold import fold_batch_norm
from clif.deploy.int8 import Int8Conv2d, quantize_weights
from clif.deploy.methods import METHODS, Conversion, clif_to_lif, convert
from clif.deploy.run import deploy_checkpoint
from clif.deploy.stream_predictor import StreamPredictor
from clif.deploy.sweep import PAPER_RESETS, SweepRow, best_row, sweep

Stream = StreamPredictor
"""The former name of `StreamPredictor`."""

__all__ = [
    "EVENT_GRID",
    "METHODS",
    "PAPER_RESETS",
    "ChannelAffine",
    "Conversion",
    "Deployment",
    "Int8Conv2d",
    "Stream",
    "StreamPredictor",
    "SweepRow",
    "best_row",
    "calibrate",
    "clif_to_lif",
    "convert",
    "deploy_checkpoint",
    "exact_sums",
    "finetune",
    "fold_batch_norm",
    "quantize_weights",
    "subtract",
    "sweep",
]
