"""Follow an event-camera recording slice by slice and show how a network's decision forms.

    clif train nmnist_snn5 --data-dir FOLDER --epochs 15 -b 32
    python examples/follow_events.py logs/RUN FOLDER/NMNIST/Test/3/00001.bin --events 400 --plot decision.png

moving_digits.py trains such a network on recordings that it makes. The recording may have any format of
`clif.data.read_recording`. Every slice of events is counted into a frame and is one step of the network, for any
duration; choose about as many events as a frame of the training had. The bars are the running probabilities of the
classes.
"""

import argparse

import matplotlib
import torch

import clif
from clif.data import read_recording
from clif.deploy import StreamPredictor

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="a run folder or checkpoint of a network for 2-channel frames")
    parser.add_argument("recording", help="a recording of the same sensor")
    parser.add_argument("--events", type=int, default=400, help="events in a slice")
    parser.add_argument("--plot", metavar="FILE", help="also draw the probabilities over time")
    arguments = parser.parse_args()

    recording = read_recording(arguments.recording)
    stream = StreamPredictor(clif.load(arguments.checkpoint))
    times, curves = [], []
    for begin in range(0, len(recording["t"]), arguments.events):
        piece = {key: values[begin : begin + arguments.events] for key, values in recording.items()}
        probabilities = stream.feed_events(piece).softmax(-1)[0]
        times.append((int(piece["t"][-1]) - int(recording["t"][0])) / 1000)
        curves.append(probabilities)
        best = int(stream.prediction[0])
        bar = "#" * round(40 * float(probabilities[best]))
        print(f"{times[-1]:7.1f} ms  step {stream.steps:3d}  class {best}  {float(probabilities[best]):6.1%}  {bar}")

    if arguments.plot:
        figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
        for label, curve in enumerate(torch.stack(curves).T):
            axes.plot(times, curve, label=str(label))
        axes.set(xlabel="time in ms", ylabel="probability", ylim=(0, 1))
        axes.legend(ncols=2, fontsize="small")
        figure.savefig(arguments.plot, dpi=120)
        print(f"plot: {arguments.plot}")


if __name__ == "__main__":
    main()
