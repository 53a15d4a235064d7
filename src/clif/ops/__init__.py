"""The computations behind the neurons: a readable reference and the choice of a backend."""
