// The arguments of the C interface; `clif.ops.problems` mirrors them field by field.
#pragma once

#include "standard.hpp"

extern "C" {

// One call of a neuron whose loops are a unit (unit.hpp), forward or backward.
//
// Sequences are [steps, size] in the storage dtype, each with its stride between steps (0 repeats one step). States are
// [size] in the compute dtype, or a single value with stride 0. A coefficient is one number (period 0) or a row of
// `period` numbers that repeats over the neurons.
struct NeuronProblem {
    const void* unit;
    std::int64_t steps, size, x_stride, d_spike_stride;
    std::int64_t state_stride[8], period[16];
    const void *x, *state[8], *coefficient[16];  // in
    const double* constants;                     // in
    std::int64_t constant_count;
    void *spike, *last[8];                     // forward, out: last may be null, if all of them are
    const void *d_spike, *d_last[8];           // backward, in: null means zero
    void *dx, *d_state[8], *d_coefficient[16];  // backward, out: d_state may be null
    // The batch norm before the neuron, if there is one: the neuron's input is x * scale + shift, for each channel. The
    // channel then varies fastest in memory, and dx is the gradient of the normalised x.
    const void *scale, *shift, *mean;  // [steps, channels] in the compute dtype
    double* norm_sums;                 // backward, out: [steps, 2, channels], sums of dx and of dx * (x - mean)
    std::int64_t channels;             // 0: no batch norm
    std::int32_t dtype, threads;
};

// One call of a batch norm without a neuron. Sequences are [steps, pixels, channels] in the storage dtype, statistics
// and factors [steps, channels] in the compute dtype.
struct NormProblem {
    std::int64_t steps, pixels, channels;
    std::int64_t x_stride;
    const void* x;
    void *mean, *var;            // statistics, out: of each step and channel over the pixels
    void* dx;                    // backward, in and out: dx * of_dx + x * of_x + constant
    const void *of_dx, *of_x, *constant;
    std::int32_t dtype, threads, isa;
};

// The sums over outer and inner of values [outer, channels, inner] in the compute dtype.
struct SumProblem {
    std::int64_t outer, channels, inner;
    const void* values;
    double* sums;  // out: [channels]
    std::int32_t dtype, threads;
};

// Packing writes one bit for each of the elements [size], 64 in a word, if every element is 0 or the same other number.
// `spike` is that number, and `count` is how many elements have it, or -1 if there are further numbers. Unpacking
// writes the elements from the bits and `spike`.
struct PackProblem {
    std::int64_t size, count;
    void* elements;
    std::uint64_t* words;
    double spike;
    std::int32_t dtype, threads, isa;
};

// One call of a convolution of spikes with a square kernel. Spikes are bits in the order [images, height, width,
// channels], and `spike` is the value of one. Tensors are dense in the storage dtype; the channel varies fastest in
// memory.
struct SpikeConvProblem {
    std::int64_t images, height, width, channels, out_height, out_width, out_channels;
    std::int64_t kernel, stride, padding;
    const std::uint64_t* words;
    const void *weight, *bias;  // forward, in: [out_channels, kernel, kernel, channels]; [out_channels] or null
    void* out;                  // forward, out
    const void* d_out;          // backward, in
    void* d_weight;             // backward, out
    void* rows;                 // scratch in the compute dtype: the weights, with out_channels rounded up to blocks
    double spike;
    std::int32_t dtype, threads, isa;
};
}
