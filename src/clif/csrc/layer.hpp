// A neuron over a whole sequence, forward and backward, for any equations.
//
// A sequence [steps, size] is cut into blocks of neurons, which the threads share, and blocks are cut into strips. The
// loops of a unit (strips.hpp) take a strip through all steps. The backward pass recomputes the steps of a strip from
// x, so the forward pass keeps nothing for it.
#pragma once

#include "blocks.hpp"
#include "unit.hpp"

namespace clif {

// The constants of a problem in the type of computation, and its coefficients with rows extended by a strip.
template <class R>
class Numbers {
public:
    Numbers(const NeuronProblem& p, const Unit& unit, std::int64_t strip)
        : constants_(p.constants, p.constants + p.constant_count) {
        for (int j = 0; j < unit.coefficients; ++j) {
            const R* const from = static_cast<const R*>(p.coefficient[j]);
            const std::int64_t period = std::max<std::int64_t>(p.period[j], 1);
            rows_[j].reserve(period + strip);
            rows_[j].assign(from, from + period);
            if (p.period[j])
                for (std::int64_t i = 0; i < strip; ++i) rows_[j].push_back(from[i % period]);
        }
    }

    const R* constants() const { return constants_.data(); }
    const R* row(int j) const { return rows_[j].data(); }

private:
    std::vector<R> constants_;
    std::vector<R> rows_[most_coefficients];
};

template <class S>
NeuronLayer<S> neuron_layer(const NeuronProblem& p, const Unit& unit, const Numbers<Compute<S>>& numbers) {
    using R = Compute<S>;
    NeuronLayer<S> layer{};
    layer.steps = p.steps;
    layer.x = {static_cast<const S*>(p.x), p.x_stride};
    layer.spike = {static_cast<S*>(p.spike), p.size};
    layer.d_spike = {static_cast<const S*>(p.d_spike), p.d_spike_stride};
    layer.dx = {static_cast<S*>(p.dx), p.size};
    layer.constants = numbers.constants();
    layer.from_rest = true;
    for (int j = 0; j < unit.states; ++j) {
        layer.state[j] = {static_cast<const R*>(p.state[j]), p.state_stride[j]};
        layer.last[j] = static_cast<R*>(p.last[j]);
        layer.d_last[j] = static_cast<const R*>(p.d_last[j]);
        layer.d_state[j] = static_cast<R*>(p.d_state[j]);
        // The values of a whole tensor are not read here: it counts as other than 0.
        const bool at_zero = p.state_stride[j] == 0 && *layer.state[j].data == 0;
        layer.from_rest &= p.d_state[j] == nullptr && (at_zero || !unit.rests_at_zero[j]);
    }
    for (int j = 0; j < unit.coefficients; ++j) {
        layer.coefficient[j] = {numbers.row(j), p.period[j]};
        layer.d_coefficient[j] = static_cast<R*>(p.d_coefficient[j]);
    }
    return layer;
}

// The last neurons of a layer if they are fewer than a strip. They are copied to memory of their own and filled up with
// zeros to a whole strip.
template <class S>
class LastNeurons {
    using R = Compute<S>;

public:
    LastNeurons(const NeuronLayer<S>& of, std::int64_t first, std::int64_t size, std::int64_t strip)
        : layer(of), of_(of), first_(first), size_(size), strip_(strip) {
        layer.past_cache = false;
        layer.offset += first;
        layer.norm.first_channel += first;
        replace(layer.x);
        replace(layer.d_spike);
        replace(layer.spike);
        replace(layer.dx);
        for (int j = 0; j < most_states; ++j) {
            if (of.state[j].stride) replace(layer.state[j].data);
            replace(layer.d_last[j]);
            replace(layer.last[j]);
            replace(layer.d_state[j]);
        }
        for (R*& sums : layer.d_coefficient) replace(sums);
    }

    // Copies the results to the layer.
    void give_back() const {
        for (auto [from, to] : {std::pair(layer.spike, of_.spike), std::pair(layer.dx, of_.dx)})
            if (to.data != nullptr)
                for (std::int64_t t = 0; t < layer.steps; ++t) std::copy_n(from.at(t, 0), size_, to.at(t, first_));
        for (int j = 0; j < most_states; ++j) {
            give_back(layer.last[j], of_.last[j]);
            give_back(layer.d_state[j], of_.d_state[j]);
        }
        for (int j = 0; j < most_coefficients; ++j) give_back(layer.d_coefficient[j], of_.d_coefficient[j]);
    }

    NeuronLayer<S> layer;

private:
    void give_back(const R* from, R* to) const {
        if (to != nullptr) std::copy_n(from, size_, to + first_);
    }

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

    const NeuronLayer<S>& of_;
    std::int64_t first_, size_, strip_;
    std::vector<std::vector<S>> rows_;
    std::vector<std::vector<R>> states_;
};

// Calls run(layer, first, end) for the strips of a block of neurons [first, end).
template <class S, class Run>
void over_strips_of(const NeuronLayer<S>& layer, std::int64_t first, std::int64_t end, std::int64_t strip,
                    const Run& run) {
    const std::int64_t whole = first + (end - first) / strip * strip;
    if (first < whole) run(layer, first, whole);
    if (whole < end) {
        LastNeurons<S> last(layer, whole, end - whole, strip);
        run(last.layer, 0, strip);
        last.give_back();
    }
}

template <class S>
void run_forward(const NeuronProblem& p) {
    if (p.size == 0) return;
    using R = Compute<S>;
    const Unit& unit = *static_cast<const Unit*>(p.unit);
    const std::int64_t strip = unit.forward_strip;
    const auto run = reinterpret_cast<ForwardRun<S>>(unit.forward[p.channels != 0]);
    const Norms<R> norms(p, strip);
    const Numbers<R> numbers(p, unit, strip);
    NeuronLayer<S> layer = neuron_layer<S>(p, unit, numbers);
    layer.norm = norms.norm();
    layer.past_cache = goes_past_cache<S>(p, p.spike, strip);
    const std::int64_t block = block_of(p, block_size, strip), blocks = (p.size + block - 1) / block;
    over_items<R>(blocks, p.threads, p.size * p.steps, 0, [&](R*, std::int64_t item) {
        over_strips_of(layer, item * block, std::min(p.size, (item + 1) * block), strip, run);
        end_of_block(layer.past_cache);
    });
}

template <class S>
void run_backward(const NeuronProblem& p) {
    using R = Compute<S>;
    const std::int64_t sums_size = 2 * p.steps * p.channels;
    if (p.channels) std::fill_n(p.norm_sums, sums_size, 0.0);
    if (p.size == 0) return;
    const Unit& unit = *static_cast<const Unit*>(p.unit);
    const std::int64_t strip = unit.backward_strip;
    const auto run_strips = reinterpret_cast<BackwardRun<S>>(unit.backward[p.channels != 0]);
    const Norms<R> norms(p, strip);
    const Numbers<R> numbers(p, unit, strip);
    NeuronLayer<S> layer = neuron_layer<S>(p, unit, numbers);
    layer.norm = norms.norm();
    layer.past_cache = goes_past_cache<S>(p, p.dx, strip);
    const std::int64_t block = block_of(p, std::max(block_size, block_rows * norms.stride()), strip);
    const std::int64_t blocks = (p.size + block - 1) / block;

    // With a batch norm, an item is a group of blocks with its own sums; the sums of the groups are added up in order.
    const std::int64_t group = p.channels ? std::max<std::int64_t>((blocks + sum_parts - 1) / sum_parts, 1) : 1;
    const std::int64_t groups = (blocks + group - 1) / group;
    const std::int64_t tape_size = p.steps * unit.planes * strip;
    std::vector<double> sums(groups * sums_size);
    const auto do_block = [&](R* scratch, std::int64_t first, double* total) {
        const Scratch<R> memory{scratch, scratch + tape_size};
        std::fill_n(memory.norm_sums, norms.sums_size(), R(0));
        const auto run = [&](const NeuronLayer<S>& part, std::int64_t from, std::int64_t to) {
            run_strips(part, from, to, memory);
        };
        over_strips_of(layer, first, std::min(p.size, first + block), strip, run);
        norms.add(memory.norm_sums, total);
        end_of_block(layer.past_cache);
    };
    const auto do_group = [&](R* scratch, std::int64_t item) {
        for (std::int64_t i = item * group; i < std::min(blocks, (item + 1) * group); ++i)
            do_block(scratch, i * block, sums.data() + item * sums_size);
    };
    over_items<R>(groups, p.threads, p.size * p.steps, tape_size + norms.sums_size(), do_group);
    for (std::size_t i = 0; i < sums.size(); ++i) p.norm_sums[i % sums_size] += sums[i];
}

}  // namespace clif
