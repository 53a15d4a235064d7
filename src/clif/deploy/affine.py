"""A batch norm in eval mode as one scale and one shift per channel."""

from torch import Tensor, nn

from clif.layers import fold
from clif.sequence_layers import SequenceLayer


class ChannelAffine(SequenceLayer):
    """y = scale·x + shift for each channel of [N, C, H, W] or [T, N, C, H, W]: a batch norm in eval mode.

    >>> clif.deploy.ChannelAffine(torch.ones(3), torch.zeros(3))(torch.rand(8, 3, 4, 4)).shape
    torch.Size([8, 3, 4, 4])
    """

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.scale = nn.Parameter(scale)
        self.shift = nn.Parameter(shift)

    def forward(self, x: Tensor) -> Tensor:
        # two operations, each rounded; torch.addcmul may fuse them, other runtimes do not
        return fold(lambda y: y * self.scale[:, None, None] + self.shift[:, None, None], x)
