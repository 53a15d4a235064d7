"""The kernels of a neuron from its `step`: traced (`trace`), differentiated (`gradient`), written as code.

A step is a `Program`: a graph of element-wise operations, whose canonical text is the key of its kernels.
"""
