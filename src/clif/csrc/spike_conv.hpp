// The convolution of spikes and the gradient of its weights, as sums over the spikes.
//
// An output pixel is the sum of the rows of weights [out channels] that its input spikes select. The gradient of a row
// of weights is the sum of the rows of the output's gradient that the spikes of its channel select. The sums take no
// multiplications, and a pixel without spikes takes no time, so the time follows the firing rate.
//
// Spikes are bits in the order [images, pixels, channels]. Blocks of output channels that fit the processor's registers
// are computed one after the other. Weights are rearranged to [block of out channels][tap][channel][out channel of the
// block]; a tap is a position (ky, kx) in the kernel.
#pragma once

#include "work.hpp"
#include "threads.hpp"

namespace clif {

constexpr std::int64_t tile_pixels = 128, tile_rows = 4;      // forward: minimum of output that is summed up at once
constexpr std::int64_t group_pixels = 256, strip_pixels = 1024;  // backward: input whose spikes are listed at once
constexpr std::int64_t channels_of_item = 8;                  // backward: a thread takes a multiple of these

inline std::int64_t blocks_of(std::int64_t size, std::int64_t block) { return (size + block - 1) / block; }

// Calls work(channel) for every spike of a pixel among the channels [first, end).
template <class Work>
CLIF_INLINE void over_spikes_of(const SpikeConvProblem& p, std::int64_t pixel, std::int64_t first, std::int64_t end,
                                const Work& work) {
    const std::int64_t zero = pixel * p.channels;  // the bit of channel 0
    for (std::int64_t bit = zero + first; bit < zero + end;) {
        const std::int64_t inside = bit % word_bits, next = bit - inside + word_bits;
        std::uint64_t word = p.words[bit / word_bits] >> inside << inside;
        if (next > zero + end) word &= ~std::uint64_t{0} >> (next - zero - end);
        for (; word != 0; word &= word - 1) work(bit - inside + lowest_bit(word) - zero);
        bit = next;
    }
}

// Goes over the weights in PyTorch's order, [out channel][ky][kx][channel], and in the order of the sums. Calls
// copy(PyTorch's index, our index) for every weight, and skip(our index) for indices beyond the last output channel.
template <class S, class Copy, class Skip>
void over_weights(const SpikeConvProblem& p, const Copy& copy, const Skip& skip) {
    constexpr std::int64_t block = row_block<Compute<S>>;
    const std::int64_t taps = p.kernel * p.kernel, row = taps * p.channels;
    over_items<S>(blocks_of(p.out_channels, block) * taps, p.threads, row * p.out_channels, 0,
                  [&](S*, std::int64_t item) {
        const std::int64_t first = item / taps * block, tap = item % taps;
        const std::int64_t n = std::min(block, p.out_channels - first);
        for (std::int64_t c = 0; c < p.channels; ++c) {
            const std::int64_t ours = (item * p.channels + c) * block;
            for (std::int64_t o = 0; o < n; ++o) copy((first + o) * row + tap * p.channels + c, ours + o);
            for (std::int64_t o = n; o < block; ++o) skip(ours + o);
        }
    });
}

template <class S>
void spike_conv_forward(const SpikeConvProblem& p) {
    using R = Compute<S>;
    constexpr std::int64_t block = row_block<R>;
    const auto sums = loops_for<S>(p.isa).add_rows;
    const S *const weight = static_cast<const S*>(p.weight), *const bias = static_cast<const S*>(p.bias);
    R* const rows = static_cast<R*>(p.rows);
    over_weights<S>(p, [&](std::int64_t from, std::int64_t to) { rows[to] = widen(weight[from]); },
                    [&](std::int64_t to) { rows[to] = 0; });

    const std::int64_t taps = p.kernel * p.kernel, image = p.out_height * p.out_width, pixels = p.images * image;
    const std::int64_t tile = std::max(tile_pixels, tile_rows * p.out_width);
    const R spike = static_cast<R>(p.spike);
    over_items<R>(blocks_of(pixels, tile), p.threads, pixels * p.out_channels, tile * block,
                  [&](R* total, std::int64_t item) {
        const std::int64_t first = item * tile, n = std::min(tile, pixels - first);
        const auto input_row = [&](std::int64_t pixel, std::int64_t ky) {  // among the rows of all images
            const std::int64_t y = pixel % image / p.out_width * p.stride - p.padding + ky;
            return pixel / image * p.height + std::clamp<std::int64_t>(y, 0, p.height - 1);
        };
        const std::int64_t begin = input_row(first, 0) * p.width;
        const std::int64_t end = (input_row(first + n - 1, p.kernel - 1) + 1) * p.width;

        // The spikes of every input pixel, as places in the rows of a tap.
        std::vector<std::uint32_t> places;
        std::vector<Range> of_pixel(end - begin);
        places.reserve((end - begin) * p.channels);
        for (std::int64_t pixel = begin; pixel < end; ++pixel) {
            const auto from = static_cast<std::uint32_t>(places.size());
            over_spikes_of(p, pixel, 0, p.channels, [&](std::int64_t c) { places.push_back(c * block); });
            of_pixel[pixel - begin] = {from, static_cast<std::uint32_t>(places.size())};
        }

        std::vector<Range> of_tap(taps * n);  // for every output pixel; empty if the tap is outside of the input
        for (std::int64_t i = 0; i < n; ++i) {
            const std::int64_t pixel = first + i, b = pixel / image;
            const std::int64_t y = pixel % image / p.out_width * p.stride - p.padding;
            const std::int64_t x = pixel % p.out_width * p.stride - p.padding;
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const std::int64_t in_y = y + tap / p.kernel, in_x = x + tap % p.kernel;
                if (in_y >= 0 && in_y < p.height && in_x >= 0 && in_x < p.width)
                    of_tap[tap * n + i] = of_pixel[(b * p.height + in_y) * p.width + in_x - begin];
            }
        }

        for (std::int64_t out = 0; out < p.out_channels; out += block) {
            std::fill_n(total, n * block, R(0));
            for (std::int64_t tap = 0; tap < taps; ++tap) {
                const R* const of_weights = rows + (out / block * taps + tap) * p.channels * block;
                sums({of_weights, places.data(), of_tap.data() + tap * n, n, total});
            }
            const std::int64_t wide = std::min(block, p.out_channels - out);
            for (std::int64_t i = 0; i < n; ++i) {
                S* const to = static_cast<S*>(p.out) + (first + i) * p.out_channels + out;
                for (std::int64_t o = 0; o < wide; ++o) {
                    const R from = total[i * block + o] * spike;
                    to[o] = narrowed_to<S>(bias ? from + widen(bias[out + o]) : from);
                }
            }
        }
    });
}

// The outputs that use an input coordinate i. With i + padding = stride * at + phase, the output at - back uses it
// through the tap k = stride * back + phase.
struct Meeting {
    std::int64_t at, phase;

    Meeting(const SpikeConvProblem& p, std::int64_t i)
        : at((i + p.padding) / p.stride), phase((i + p.padding) % p.stride) {}
};

// The gradient of the weights from the spikes of the channels [first, first + n), written to p.rows.
//
// It takes one strip of the input, or several small images, at a time. The spikes of each channel are listed by phase.
// For each block of output channels, the outputs' gradients are copied to a frame with a margin of zeros, in which the
// taps differ only in the position at which they start.
template <class S>
class WeightGradient {
    using R = Compute<S>;
    static constexpr std::int64_t block = row_block<R>;

public:
    explicit WeightGradient(const SpikeConvProblem& p)
        : p_(p), sums_(loops_for<S>(p.isa).add_rows),
          strip_(std::min(p.height, std::max<std::int64_t>(1, strip_pixels / p.width))),
          together_(strip_ < p.height ? 1 : std::max<std::int64_t>(1, group_pixels / (p.height * p.width))),
          back_((p.kernel - 1) / p.stride), left_(Meeting(p, 0).at - back_),
          wide_(Meeting(p, p.width - 1).at - left_ + 1), high_((strip_ + p.stride - 2) / p.stride + 1 + back_) {}

    std::int64_t frame_size() const { return together_ * high_ * wide_ * block; }

    void run(R* frame, std::int64_t first, std::int64_t n) const {
        const std::int64_t phases = p_.stride * p_.stride, taps = p_.kernel * p_.kernel;
        const std::int64_t room = together_ * high_ * wide_;  // for the spikes of one channel and phase
        std::vector<std::uint32_t> places(n * phases * room);
        std::vector<Range> lists(phases * n);
        R* const rows = static_cast<R*>(p_.rows);
        for (std::int64_t out = 0; out < p_.out_channels; out += block)
            for (std::int64_t tap = 0; tap < taps; ++tap)
                std::fill_n(rows + ((out / block * taps + tap) * p_.channels + first) * block, n * block, R(0));
        for (std::int64_t b = 0; b < p_.images; b += together_) {
            const std::int64_t images = std::min(together_, p_.images - b);
            for (std::int64_t y = 0; y < p_.height; y += strip_) {
                const std::int64_t strip = std::min(strip_, p_.height - y), top = Meeting(p_, y).at - back_;
                for (std::int64_t i = 0; i < phases * n; ++i) lists[i].begin = lists[i].end = i * room;
                for (std::int64_t i = 0; i < images; ++i)
                    list_spikes(b + i, i, y, strip, top, first, n, places.data(), lists.data());
                for (std::int64_t out = 0; out < p_.out_channels; out += block) {
                    for (std::int64_t i = 0; i < images; ++i)
                        copy_gradient(b + i, top, out, frame + i * high_ * wide_ * block);
                    for (std::int64_t tap = 0; tap < taps; ++tap) {
                        const std::int64_t ky = tap / p_.kernel, kx = tap % p_.kernel;
                        const std::int64_t start = (back_ - ky / p_.stride) * wide_ + back_ - kx / p_.stride;
                        const std::int64_t phase = ky % p_.stride * p_.stride + kx % p_.stride;
                        R* const to = rows + ((out / block * taps + tap) * p_.channels + first) * block;
                        sums_({frame + start * block, places.data(), lists.data() + phase * n, n, to});
                    }
                }
            }
        }
    }

private:
    // Lists the spikes of a strip of one image. A place in the frame is that of the output at - back_ (see `Meeting`).
    void list_spikes(std::int64_t image, std::int64_t number, std::int64_t y, std::int64_t strip, std::int64_t top,
                     std::int64_t first, std::int64_t n, std::uint32_t* places, Range* lists) const {
        for (std::int64_t in_y = y; in_y < y + strip; ++in_y) {
            const Meeting row(p_, in_y);
            for (std::int64_t in_x = 0; in_x < p_.width; ++in_x) {
                const Meeting column(p_, in_x);
                const std::int64_t place = (number * high_ + row.at - back_ - top) * wide_ + column.at - back_ - left_;
                Range* const of_phase = lists + (row.phase * p_.stride + column.phase) * n;
                over_spikes_of(p_, (image * p_.height + in_y) * p_.width + in_x, first, first + n, [&](std::int64_t c) {
                    places[of_phase[c - first].end++] = static_cast<std::uint32_t>(place * block);
                });
            }
        }
    }

    // Copies the gradient of one image's outputs, for a block of their channels, from row `top` and column `left_` on;
    // 0 outside of the outputs.
    void copy_gradient(std::int64_t image, std::int64_t top, std::int64_t out, R* to) const {
        const std::int64_t n = std::min(block, p_.out_channels - out);
        for (std::int64_t y = top; y < top + high_; ++y) {
            for (std::int64_t x = left_; x < left_ + wide_; ++x, to += block) {
                const bool inside = y >= 0 && y < p_.out_height && x >= 0 && x < p_.out_width;
                const S* const from = static_cast<const S*>(p_.d_out) +
                                      ((image * p_.out_height + y) * p_.out_width + x) * p_.out_channels + out;
                std::int64_t o = 0;
                for (; inside && o < n; ++o) to[o] = widen(from[o]);
                for (; o < block; ++o) to[o] = 0;
            }
        }
    }

    const SpikeConvProblem& p_;
    void (*sums_)(const RowSums<R>&);
    std::int64_t strip_, together_;  // rows of a strip; images at once, if a strip is a whole image
    std::int64_t back_;              // the largest `back` of a tap (see `Meeting`)
    std::int64_t left_, wide_, high_;  // the frame's first column; its size
};

template <class S>
void spike_conv_backward(const SpikeConvProblem& p) {
    using R = Compute<S>;
    const WeightGradient<S> gradient(p);
    const std::int64_t share = blocks_of(p.channels, std::max(p.threads, 1));
    const std::int64_t channels = blocks_of(share, channels_of_item) * channels_of_item;
    const std::int64_t work = p.images * p.height * p.width * p.channels;
    const auto do_item = [&](R* frame, std::int64_t item) {
        gradient.run(frame, item * channels, std::min(channels, p.channels - item * channels));
    };
    over_items<R>(blocks_of(p.channels, channels), p.threads, work, gradient.frame_size(), do_item);
    const R *const rows = static_cast<const R*>(p.rows), spike = static_cast<R>(p.spike);
    S* const d_weight = static_cast<S*>(p.d_weight);
    over_weights<S>(p, [&](std::int64_t to, std::int64_t from) { d_weight[to] = narrowed_to<S>(rows[from] * spike); },
                    [](std::int64_t) {});
}

}  // namespace clif
