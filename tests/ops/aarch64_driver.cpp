// Calls the C interface of the kernels for another process, which sends problems and receives their results. Both use
// the same structs: on both sides pointers have 64 bits and numbers have the same order of bytes.
//
// A request is four numbers of 64 bits (function, key of the program, dtype, instruction set), the size of the problem,
// the problem, and the number of its arrays; then for each array the position of its pointer in the problem, its size
// and its bytes. The answer is the status, the problem and the arrays. All sizes are in bytes.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "problem.hpp"
#include "unit.hpp"

extern "C" {
int clif_unit_forward(const void*);
int clif_unit_backward(const void*);
int clif_norm_statistics(const void*);
int clif_norm_backward(const void*);
int clif_pack(void*);
int clif_unpack(const void*);
int clif_spike_conv_forward(const void*);
int clif_spike_conv_backward(const void*);
int clif_channel_sums(const void*);
int clif_shipped_unit(std::uint64_t key, std::int32_t dtype, std::int32_t isa, clif::Unit* unit);
int clif_interface();
int clif_isa();
int clif_bfloat16_unit();
}

// The unit of a program that is not in the library. The test writes its definition beside this file.
bool own_unit(std::uint64_t key, std::int64_t dtype, std::int64_t isa, clif::Unit* unit);

namespace {

constexpr std::size_t margin = 64;  // bytes after an array, which must not be written
constexpr unsigned char untouched = 0xA5;

void receive(void* to, std::size_t bytes) {
    if (std::fread(to, 1, bytes, stdin) != bytes) std::exit(0);
}

std::int64_t receive_number() {
    std::int64_t number;
    receive(&number, sizeof number);
    return number;
}

void send(const void* from, std::size_t bytes) { std::fwrite(from, 1, bytes, stdout); }

struct Array {
    std::size_t place, bytes;
    unsigned char* data;
};

Array receive_array() {
    Array array{};
    array.place = receive_number();
    array.bytes = receive_number();
    const std::size_t room = (array.bytes + margin + 63) / 64 * 64;
    array.data = static_cast<unsigned char*>(std::aligned_alloc(64, room));
    std::memset(array.data, untouched, room);
    receive(array.data, array.bytes);
    return array;
}

void check_margin(const Array& array) {
    for (std::size_t i = 0; i < margin; ++i) {
        if (array.data[array.bytes + i] == untouched) continue;
        std::fprintf(stderr, "written behind the array at %zu of the problem\n", array.place);
        std::exit(1);
    }
}

std::int64_t call(std::int64_t function, void* problem) {
    switch (function) {
        case 0: return clif_unit_forward(problem);
        case 1: return clif_unit_backward(problem);
        case 2: return clif_norm_statistics(problem);
        case 3: return clif_norm_backward(problem);
        case 4: return clif_pack(problem);
        case 5: return clif_unpack(problem);
        case 6: return clif_spike_conv_forward(problem);
        case 7: return clif_spike_conv_backward(problem);
        case 8: return clif_channel_sums(problem);
        case 9: return clif_interface();
        case 10: return clif_isa();
        case 11: return clif_bfloat16_unit();
        default: std::exit(2);
    }
}

}  // namespace

int main() {
    for (;;) {
        const std::int64_t function = receive_number(), key = receive_number();
        const std::int64_t dtype = receive_number(), isa = receive_number();
        std::vector<unsigned char> problem(receive_number());
        receive(problem.data(), problem.size());
        std::vector<Array> arrays(receive_number());
        for (Array& array : arrays) {
            array = receive_array();
            std::memcpy(problem.data() + array.place, &array.data, sizeof array.data);
        }
        clif::Unit unit{};
        if (function < 2) {
            if (!clif_shipped_unit(key, dtype, isa, &unit) && !own_unit(key, dtype, isa, &unit)) std::exit(3);
            const void* const address = &unit;
            std::memcpy(problem.data() + offsetof(NeuronProblem, unit), &address, sizeof address);
        }
        const std::int64_t status = call(function, problem.data());
        send(&status, sizeof status);
        send(problem.data(), problem.size());
        for (const Array& array : arrays) {
            check_margin(array);
            send(array.data, array.bytes);
            std::free(array.data);
        }
        std::fflush(stdout);
    }
}
