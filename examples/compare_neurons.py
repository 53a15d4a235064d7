"""Compare neurons of your own with CLIF over several seeds: mean, spread, paired test and a page with the curves.

    python examples/compare_neurons.py comparison
    python examples/compare_neurons.py comparison --neurons CLIF,LIF,ChannelLeakLIF --seeds 0,1,2,3,4 --epochs 6 -T 6

The neurons of own_neuron.py are compared with those of clif. Each network trains in its own process, with the options
of the recipe `digits`. Complete runs are read, so the same command continues after an interruption, and more seeds
or neurons can be added later.
"""

import argparse
import math
from pathlib import Path

import own_neuron  # registers its neurons by name

from clif.experiment import collect, make_plan, train_all, write_report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where the runs, tables and report.html are written")
    parser.add_argument(
        "--neurons", default="CLIF,InputGateLIF", help="registered names; the first is compared with all"
    )
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("-T", type=int, default=2, help="time steps")
    parser.add_argument("--processes", type=int, default=1, help="runs at a time")
    arguments = parser.parse_args()

    neurons, seeds = arguments.neurons.split(","), [int(seed) for seed in arguments.seeds.split(",")]
    options = {"epochs": arguments.epochs, "T": arguments.T, "val_split": 0.0}
    plan = make_plan("neurons", "digits", neurons, seeds=seeds, folder=arguments.folder, **options)
    print(f"{len(plan.runs())} runs, which write what they say to output.txt in {plan.folder}/runs/…", flush=True)
    runs = train_all(plan, arguments.processes, imports=[own_neuron.__file__], quiet=True)
    results = collect(plan, runs)
    for arm, p in zip(results.arms, results.p_values(), strict=True):
        each = ", ".join(f"{one:.1%}" for one in arm.accuracies)
        test = "" if math.isnan(p) else f", p = {p:.2f} against {neurons[0]}"
        print(f"{arm.arm.name:15} {arm.accuracy.mean:.1%} on test digits ({each}){test}")
    paths = [*results.write(), write_report(results)]
    print("written:", ", ".join(str(path) for path in paths))


if __name__ == "__main__":
    main()
