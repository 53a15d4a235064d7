// The C interface of neurons whose loops are units, called through ctypes by `clif.ops.cpu_neuron`.

#include "interface.hpp"
#include "layer.hpp"

using namespace clif;

extern "C" {

CLIF_EXPORT int clif_unit_forward(const NeuronProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { run_forward<decltype(s)>(*p); });
}

CLIF_EXPORT int clif_unit_backward(const NeuronProblem* p) {
    return with_dtype(p->dtype, [&](auto s) { run_backward<decltype(s)>(*p); });
}
}
