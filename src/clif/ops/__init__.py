"""The computations of the neurons: a readable reference and the choice of a backend."""
