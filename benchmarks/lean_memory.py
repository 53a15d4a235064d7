"""The memory of a training process with each setting of the allocator (`clif.memory`), on a CPU with glibc.

    python benchmarks/lean_memory.py

Each row trains spiking ResNet-18 (CLIF, T = 6) for six steps on 32 random images [3, 32, 32] in a process of its own
and shows the largest resident memory. "default" is glibc's, "lean" that of `clif train`, and "keep" that of `clif train
--lean-memory False`.
"""

import argparse
import resource
import subprocess
import sys

from clif import memory

SETTINGS = {"default": None, "lean": memory.lean, "keep": memory.keep}
DTYPES = ("float32", "bfloat16")
STEPS, BATCH, T = 6, 32, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--setting", choices=SETTINGS, help="measure in this process, with one setting and dtype")
    parser.add_argument("--dtype", choices=DTYPES)
    given = parser.parse_args()
    if given.setting:
        print(f"{measure(given.setting, given.dtype or DTYPES[0]):.2f}")
        return
    print("| setting | dtype | largest resident memory (GiB) |\n|---|---|---:|")
    for dtype in DTYPES:
        for setting in SETTINGS:
            command = [sys.executable, __file__, "--setting", setting, "--dtype", dtype]
            gibibytes = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
            print(f"| {setting} | {dtype} | {gibibytes} |")


def measure(setting: str, dtype: str) -> float:
    """The largest resident memory of six steps in GiB."""
    if (choose := SETTINGS[setting]) is not None:
        choose()
    import torch  # after the choice, which it reads at its first allocation

    import clif

    torch.manual_seed(0)
    net = clif.models.create_model("spiking_resnet18", "CLIF", T=T)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    images, labels = torch.rand(BATCH, 3, 32, 32), torch.randint(10, (BATCH,))
    for _ in range(STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            loss = torch.nn.functional.cross_entropy(net(images).mean(0), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


if __name__ == "__main__":
    main()
