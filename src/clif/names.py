"""Names that are known without loading torch, so that configurations and command lines can be read at once."""

DATASET_ALIASES = {"dvscifar10": "cifar10dvs", "dvscifar10-pt": "cifar10dvs", "dvsgesture": "dvs_gesture"}
"""The original's spellings of data sets, in lower case."""

NEURON_NAMES = ("CLIF", "LIF", "PLIF", "ReLU")

AMP_DTYPES = ("auto", "bfloat16", "float16")
"""The choices of `amp_dtype`; `clif.precision` says what they mean."""

CONVERSIONS = ("sweep", "calibrate", "subtract", "finetune")
"""The methods of `clif.deploy.convert`."""


def dataset_name(name: str) -> str:
    """The one spelling of a data set's name or alias given in any case; an unknown name stays, in lower case."""
    return DATASET_ALIASES.get(name.lower(), name.lower())
