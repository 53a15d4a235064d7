// A neuron over a whole sequence, forward and backward.
//
// A sequence [steps, size] is cut into blocks of neurons, for the threads, and these into strips, which run through all
// their steps (neuron_loops.hpp). The backward pass recomputes a strip's steps from x, so nothing need be kept from the
// forward pass.
#pragma once

#include "blocks.hpp"

namespace clif {

template <class R>
Constants<R> constants_of(const Problem& p) {
    Constants<R> c;
    c.leak = static_cast<R>(p.leak);
    c.keep = static_cast<R>(p.keep);
    c.threshold = static_cast<R>(p.threshold);
    c.subtract = static_cast<R>(p.subtract);
    c.reset = static_cast<R>(p.reset);
    c.alpha = static_cast<R>(p.alpha);
    c.decay_input = p.decay_input;
    c.detach_reset = p.detach_reset;
    return c;
}

template <class S>
Layer<S> layer_of(const Problem& p) {
    using R = Compute<S>;
    Layer<S> layer{};
    layer.steps = p.steps;
    layer.x = {static_cast<const S*>(p.x), p.x_stride};
    layer.v = {static_cast<const R*>(p.v), p.v_stride};
    layer.m = {static_cast<const R*>(p.m), p.m_stride};
    layer.spike = {static_cast<S*>(p.spike), p.size};
    layer.v_last = static_cast<R*>(p.v_last);
    layer.m_last = static_cast<R*>(p.m_last);
    layer.d_spike = {static_cast<const S*>(p.d_spike), p.d_spike_stride};
    layer.d_v_last = static_cast<const R*>(p.d_v_last);
    layer.d_m_last = static_cast<const R*>(p.d_m_last);
    layer.dx = {static_cast<S*>(p.dx), p.size};
    layer.dv = static_cast<R*>(p.dv);
    layer.dm = static_cast<R*>(p.dm);
    layer.d_leak = static_cast<R*>(p.d_leak);
    layer.constants = constants_of<R>(p);
    // A whole tensor is not looked through for values other than 0.
    layer.from_rest = p.m != nullptr && p.m_stride == 0 && *layer.m.data == 0 && p.dm == nullptr;
    return layer;
}

// The last neurons of a layer, fewer than a strip, as a whole strip in memory of its own, where zeros stand in for the
// missing ones.
template <class S>
class LastStrip {
    using R = Compute<S>;

public:
    LastStrip(const Layer<S>& of, std::int64_t first, std::int64_t size, std::int64_t strip)
        : layer(of), of_(of), first_(first), size_(size), strip_(strip) {
        layer.past_cache = false;
        layer.norm.first_channel = first;
        replace(layer.x);
        replace(layer.d_spike);
        replace(layer.spike);
        replace(layer.dx);
        if (of.v.stride) replace(layer.v.data);
        if (of.m.stride) replace(layer.m.data);
        replace(layer.d_v_last);
        replace(layer.d_m_last);
        for (auto out : outputs) replace(layer.*out);
    }

    // Copies the results to where they belong.
    void give_back() const {
        for (auto [from, to] : {std::pair(layer.spike, of_.spike), std::pair(layer.dx, of_.dx)})
            if (to.data != nullptr)
                for (std::int64_t t = 0; t < layer.steps; ++t) std::copy_n(from.at(t, 0), size_, to.at(t, first_));
        for (auto out : outputs)
            if (of_.*out != nullptr) std::copy_n(layer.*out, size_, of_.*out + first_);
    }

    Layer<S> layer;

private:
    static constexpr R* Layer<S>::*outputs[] = {&Layer<S>::v_last, &Layer<S>::m_last, &Layer<S>::dv, &Layer<S>::dm,
                                                &Layer<S>::d_leak};

    template <class Element>
    void replace(Sequence<Element>& sequence) {
        if (sequence.data == nullptr) return;
        std::vector<S>& copy = rows_.emplace_back(layer.steps * strip_);
        if constexpr (std::is_const_v<Element>)
            for (std::int64_t t = 0; t < layer.steps; ++t)
                std::copy_n(sequence.at(t, first_), size_, copy.data() + t * strip_);
        sequence = {copy.data(), strip_};
    }

    template <class Element>
    void replace(Element*& state) {
        if (state == nullptr) return;
        std::vector<R>& copy = states_.emplace_back(strip_);
        if constexpr (std::is_const_v<Element>) std::copy_n(state + first_, size_, copy.data());
        state = copy.data();
    }

    const Layer<S>& of_;
    std::int64_t first_, size_, strip_;
    std::vector<std::vector<S>> rows_;
    std::vector<std::vector<R>> states_;
};

// Calls run(layer, first, end) for the strips of a block of neurons [first, end).
template <class S, class Run>
void over_strips(const Layer<S>& layer, std::int64_t first, std::int64_t end, std::int64_t strip, const Run& run) {
    const std::int64_t whole = first + (end - first) / strip * strip;
    if (first < whole) run(layer, first, whole);
    if (whole < end) {
        LastStrip<S> last(layer, whole, end - whole, strip);
        run(last.layer, 0, strip);
        last.give_back();
    }
}

template <class S>
void forward(const Problem& p) {
    using R = Compute<S>;
    const ForwardLoop<S> loop = loops_for<S>(p.isa).forward(p);
    const Norms<R> norms(p, loop.strip);
    Layer<S> layer = layer_of<S>(p);
    layer.norm = norms.norm();
    layer.past_cache = goes_past_cache<S>(p, p.spike, loop.strip);
    const std::int64_t block = block_of(p, block_size, loop.strip), blocks = (p.size + block - 1) / block;
    over_items<R>(blocks, p.threads, p.size * p.steps, 0, [&](R*, std::int64_t item) {
        over_strips(layer, item * block, std::min(p.size, (item + 1) * block), loop.strip, loop.run);
        end_of_block(layer.past_cache);
    });
}

template <class S>
void backward(const Problem& p) {
    using R = Compute<S>;
    const BackwardLoop<S> loop = loops_for<S>(p.isa).backward(p);
    const Norms<R> norms(p, loop.strip);
    Layer<S> layer = layer_of<S>(p);
    layer.norm = norms.norm();
    layer.past_cache = goes_past_cache<S>(p, p.dx, loop.strip);
    const std::int64_t block = block_of(p, std::max(block_size, block_rows * norms.stride()), loop.strip);
    const std::int64_t blocks = (p.size + block - 1) / block;

    // With a batch norm an item is a group of blocks with sums of its own, which are added up in their order.
    const std::int64_t group = p.channels ? std::max<std::int64_t>((blocks + norm_groups - 1) / norm_groups, 1) : 1;
    const std::int64_t groups = (blocks + group - 1) / group;
    const std::int64_t sums_size = 2 * p.steps * p.channels, tape_size = p.steps * loop.planes * loop.strip;
    std::vector<double> sums(groups * sums_size);
    const auto do_block = [&](R* scratch, std::int64_t first, double* total) {
        const Scratch<R> memory{scratch, scratch + tape_size};
        std::fill_n(memory.norm_sums, norms.sums_size(), R(0));
        const auto run = [&](const Layer<S>& part, std::int64_t from, std::int64_t to) {
            loop.run(part, from, to, memory);
        };
        over_strips(layer, first, std::min(p.size, first + block), loop.strip, run);
        norms.add(memory.norm_sums, total);
        end_of_block(layer.past_cache);
    };
    const auto do_group = [&](R* scratch, std::int64_t item) {
        for (std::int64_t i = item * group; i < std::min(blocks, (item + 1) * group); ++i)
            do_block(scratch, i * block, sums.data() + item * sums_size);
    };
    over_items<R>(groups, p.threads, p.size * p.steps, tape_size + norms.sums_size(), do_group);
    if (p.channels) std::fill_n(p.norm_sums, sums_size, 0.0);
    for (std::size_t i = 0; i < sums.size(); ++i) p.norm_sums[i % sums_size] += sums[i];
}

}  // namespace clif
