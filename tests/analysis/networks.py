"""Single samples for the networks of the fixture `seen`."""

import clif


def sample(seen):
    return seen._replace(x=seen.x[:1] if seen.x.dim() != 3 else seen.x[:, :1])


def as_given(seen):
    """One sample in the form of `raster`: without the axis of the batch for networks of clif."""
    return seen.x[0] if isinstance(seen.net, clif.models.SpikingNetwork) else sample(seen).x
