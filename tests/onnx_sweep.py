"""Graphs of one or a few operators over ranges of attributes, for tests/onnx_backend.py."""

import itertools
import zlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = (9, 11, 13, 17, 18, 20, 22)
FLOAT = TensorProto.FLOAT


def random(name, shape, low=-2.0, high=2.0):
    """Values that depend only on the name of the case."""
    generator = np.random.default_rng(zlib.crc32(name.encode()))
    return generator.uniform(low, high, shape).astype(np.float32)


def rounded(array, half):
    """f32 values rounded to f16."""
    return array.astype(np.float16).astype(np.float32) if half and array.dtype == np.float32 else array


def as_f16(model):
    """The model with every f32 as f16; its values must be representable in f16."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for index, tensor in enumerate(other.graph.initializer):
        array = numpy_helper.to_array(tensor)
        if array.dtype == np.float32:
            other.graph.initializer[index].CopyFrom(numpy_helper.from_array(array.astype(np.float16), tensor.name))
    for value in [*other.graph.input, *other.graph.output]:
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    return other


class Case:
    """A graph of one node: input `x`, output `y`, all other operands constant."""

    def __init__(self, op, opset, shape, constants=(), outputs=1, low=-2.0, high=2.0, tag="", **attributes):
        self.op, self.opset, self.outputs = op, opset, outputs
        text = "_".join(f"{key}-{value}" for key, value in sorted(attributes.items()))
        text = text.replace(" ", "").replace("[", "").replace("]", "").replace(",", ".").replace("'", "")
        self.name = f"{op}{tag}_{opset}_{'x'.join(map(str, shape))}_{text}"[:180]
        self.shape, self.range, self.constants, self.attributes = shape, (low, high), constants, attributes

    def build(self, half=False):
        """The model; with `half`, its values are rounded to f16."""
        self.inputs = [rounded(random(self.name, self.shape, *self.range), half)]
        names, tensors = ["x"], []
        for index, constant in enumerate(self.constants):
            if constant is None:
                names.append("")
                continue
            names.append(f"c{index}")
            value = constant(self.name) if callable(constant) else np.asarray(constant)
            tensors.append(numpy_helper.from_array(rounded(value, half), names[-1]))
        outputs = [f"y{index}" for index in range(self.outputs)]
        node = helper.make_node(self.op, names, outputs, name="the_node", **self.attributes)
        return one_graph([node], self.inputs, outputs, tensors, self.opset)


def one_graph(nodes, inputs, outputs, tensors, opset):
    declared = [helper.make_tensor_value_info("x", FLOAT, inputs[0].shape)]
    made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes, "g", declared, made, tensors)
    ir_version = 8 if opset < 19 else 9 if opset < 21 else 10
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)


def weights(*shape, low=-1.0, high=1.0):
    return lambda name: random(name + "weights", shape, low, high)


def ints(*values):
    return np.array(values, np.int64)


def convolutions():
    pads = ([0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 2, 1], [2, 0, 0, 1], [3, 3, 3, 3])
    for kernel, stride, dilation, pad in itertools.product(((3, 3), (1, 1), (2, 5)), (1, 2, 3), (1, 2), pads):
        for group, made in ((1, 4), (2, 4), (4, 4), (4, 8)):
            if (kernel, dilation) == ((1, 1), 2):
                continue
            yield Case("Conv", 11, (1, 4, 11, 13), (weights(made, 4 // group, *kernel), weights(made)), group=group,
                       kernel_shape=list(kernel), strides=[stride, stride], dilations=[dilation, dilation], pads=pad)
    for auto, stride, side, kernel, dilation in itertools.product(
        ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"), (1, 2, 3), (7, 8), (2, 3, 5), (1, 2)
    ):
        for group in (1, 4):
            yield Case("Conv", 13, (1, 4, side, side + 1), (weights(4, 4 // group, kernel, kernel),), group=group,
                       auto_pad=auto, strides=[stride, stride], dilations=[dilation, dilation])
    for opset in OPSETS:
        yield Case("Conv", opset, (1, 3, 9, 9), (weights(5, 3, 3, 3), weights(5)))
        yield Case("Conv", opset, (2, 3, 9, 9), (weights(5, 3, 3, 3), weights(5)), strides=[2, 1], pads=[1, 0, 0, 1])
        yield Case("Conv", opset, (1, 4, 9), (weights(6, 2, 3), weights(6)), group=2, pads=[1, 2], strides=[2])
        yield Case("Conv", opset, (1, 2, 5, 6, 7), (weights(3, 2, 3, 2, 3),), pads=[1, 0, 1, 1, 1, 0], strides=[1, 2, 1])
    for channels in (1, 3, 8, 16, 33):
        for made in (1, 8, 17, 32):
            yield Case("Conv", 17, (1, channels, 14, 14), (weights(made, channels, 3, 3), weights(made)), pads=[1] * 4)
            yield Case("Conv", 17, (1, channels, 14, 14), (weights(made, channels, 1, 1), weights(made)))
        yield Case("Conv", 17, (1, channels, 14, 14), (weights(channels, 1, 3, 3), weights(channels)), pads=[1] * 4,
                   group=channels, strides=[2, 2])


def pools():
    pads = (None, [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1])
    for op, opset, kernel, stride, pad, ceil, side in itertools.product(
        ("MaxPool", "AveragePool"), (11, 19), ((2, 2), (3, 3), (2, 3)), (1, 2, 3), pads, (0, 1), ((8, 9), (7, 7))
    ):
        attributes = {"kernel_shape": list(kernel), "strides": [stride, stride], "ceil_mode": ceil}
        if pad is not None:
            attributes["pads"] = pad
        includes = (0, 1) if op == "AveragePool" else (None,)
        for include in includes:
            if include is not None:
                attributes["count_include_pad"] = include
            yield Case(op, opset, (1, 3, *side), **attributes)
    for op, auto, kernel, stride, side, ceil in itertools.product(
        ("MaxPool", "AveragePool"), ("SAME_UPPER", "SAME_LOWER", "VALID"), (2, 3), (1, 2, 3), (7, 8), (0, 1)
    ):
        for include in (0, 1) if op == "AveragePool" else (None,):
            extra = {} if include is None else {"count_include_pad": include}
            yield Case(op, 13, (1, 2, side, side), kernel_shape=[kernel, kernel], strides=[stride, stride],
                       auto_pad=auto, ceil_mode=ceil, **extra)
    for op, dilation, stride, pad, ceil in itertools.product(
        ("MaxPool", "AveragePool"), (2, 3), (1, 2), (0, 1), (0, 1)
    ):
        extra = {"ceil_mode": ceil}
        yield Case(op, 19, (1, 2, 11, 10), kernel_shape=[3, 3], strides=[stride] * 2, pads=[pad] * 4,
                   dilations=[dilation] * 2, **extra)
    for opset in OPSETS:
        for op in ("MaxPool", "AveragePool"):
            yield Case(op, opset, (1, 3, 9, 9), kernel_shape=[3, 3])
            yield Case(op, opset, (2, 3, 9), kernel_shape=[3], strides=[2], pads=[1, 1])
            yield Case(op, opset, (1, 3, 5, 6, 7), kernel_shape=[2, 2, 3], strides=[2, 1, 2])
            if opset > 9:
                yield Case(op, opset, (1, 64, 12, 12), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, ceil_mode=1)
                yield Case(op, opset, (1, 64, 13, 13), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1)
        for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
            yield Case(op, opset, (1, 3, 9, 9))
            yield Case(op, opset, (2, 3, 9))
            yield Case(op, opset, (1, 3, 2, 3, 4))
    for p in (1, 2, 3):
        yield Case("GlobalLpPool", 13, (1, 3, 9, 9), p=p)
        yield Case("LpPool", 18, (1, 3, 9, 9), p=p, kernel_shape=[3, 3])


def activations():
    plain = ("Abs Acos Acosh Asin Asinh Atan Atanh Ceil Cos Cosh Erf Exp Floor HardSwish Log Mish Neg Reciprocal Relu "
             "Round Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh Identity Gelu HardSigmoid Elu Selu Celu "
             "LeakyRelu ThresholdedRelu Shrink Dropout Swish")
    for op, opset in itertools.product(plain.split(), (*OPSETS, 24)):
        low, high = {"Acosh": (1.0, 5.0), "Log": (0.01, 9.0), "Sqrt": (0.0, 9.0), "Acos": (-1.0, 1.0),
                     "Asin": (-1.0, 1.0), "Atanh": (-0.99, 0.99)}.get(op, (-8.0, 8.0))
        yield Case(op, opset, (1, 3, 5, 7), low=low, high=high)
        yield Case(op, opset, (4, 40), low=low / 4 if low < 0 else low, high=high / 4 if low < 0 else high, tag="small")
    for op in "Softplus Sigmoid Tanh Erf Exp Mish Softsign HardSwish Sinh Cosh Atan Gelu Elu Selu Celu".split():
        yield Case(op, 20, (1, 3, 5, 7), low=-60.0, high=60.0, tag="wide")
    alphas = (0.0, 0.01, 0.5, 1.0, 1.5, 2.0, -0.5)
    for op, alpha in itertools.product(("Elu", "Celu", "LeakyRelu", "ThresholdedRelu", "Selu", "Swish"), alphas):
        yield Case(op, 24 if op == "Swish" else 20, (1, 3, 5, 7), alpha=alpha)
    for gamma in (0.5, 1.0, 3.0):
        yield Case("Selu", 20, (1, 3, 5, 7), gamma=gamma, alpha=1.5)
    for alpha, beta in itertools.product((0.1, 0.2, 1 / 6, 0.5, -0.2), (0.0, 0.5, 0.7)):
        yield Case("HardSigmoid", 13, (1, 3, 5, 7), alpha=alpha, beta=beta, low=-6.0, high=6.0)
    for bias, lambd in itertools.product((0.0, 0.5, -0.5), (0.0, 0.5, 1.5)):
        yield Case("Shrink", 13, (1, 3, 5, 7), bias=bias, lambd=lambd)
    for approximate in ("none", "tanh"):
        yield Case("Gelu", 20, (1, 3, 5, 7), approximate=approximate, low=-6.0, high=6.0)
    for low, high in ((0.0, 6.0), (-1.0, 1.0), (0.5, 0.5), (1.0, -1.0)):
        yield Case("Clip", 9, (1, 3, 5, 7), min=low, max=high)
        yield Case("Clip", 6, (1, 3, 5, 7), min=low, max=high)
        for opset in (11, 13, 18):
            yield Case("Clip", opset, (1, 3, 5, 7), (np.float32(low), np.float32(high)))
            yield Case("Clip", opset, (1, 3, 5, 7), (np.float32(low),), tag="low")
            yield Case("Clip", opset, (1, 3, 5, 7), (None, np.float32(high)), tag="high")
    yield Case("Clip", 9, (1, 3, 5, 7), max=1.0)
    yield Case("Clip", 9, (1, 3, 5, 7), min=0.0)
    yield Case("Clip", 9, (1, 3, 5, 7))
    yield Case("Clip", 13, (1, 3, 5, 7))
    for shape in ((1,), (3, 1, 1), (1, 3, 1, 1), (7,), (5, 7), (1, 3, 5, 7)):
        for opset in (9, 13, 16):
            yield Case("PRelu", opset, (1, 3, 5, 7), (weights(*shape),))


def pairs():
    shapes = ((), (1,), (7,), (5, 7), (3, 1, 1), (1, 3, 5, 7), (1, 3, 1, 1), (2, 1, 5, 1), (2, 2, 3, 5, 7))
    for op, shape in itertools.product(("Add", "Sub", "Mul", "Div", "Pow", "Max", "Min", "Sum", "Mean"), shapes):
        low, high = (0.1, 2.0) if op in ("Pow", "Div") else (-2.0, 2.0)
        for opset in (9, 14, 18):
            yield Case(op, opset, (1, 3, 5, 7), (weights(*shape, low=0.1 if op == "Div" else -1.5, high=1.5),), low=low,
                       high=high)
    for exponent in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 3.0):
        for opset in (9, 13, 17):
            yield Case("Pow", opset, (1, 3, 5, 7), (np.float32(exponent),), low=0.1)
        if exponent == int(exponent):
            yield Case("Pow", 13, (1, 3, 5, 7), (np.float32(exponent),), tag="signed")
    for op in ("Max", "Min", "Sum", "Mean"):
        yield Case(op, 13, (1, 3, 5, 7))
        yield Case(op, 13, (1, 3, 5, 7), (weights(5, 7), weights(3, 1, 1)))
        yield Case(op, 13, (1, 3, 5, 7), (weights(7), weights(1, 3, 5, 7), weights(1)))


def matrices():
    for trans_a, trans_b, alpha, beta in itertools.product((0, 1), (0, 1), (1.0, 0.5), (1.0, 0.0, 2.0)):
        shape, other = ((4, 6), (6, 5)) if not trans_a else ((6, 4), (6, 5))
        other = other[::-1] if trans_b else other
        for bias in (None, (5,), (1, 5), (4, 1), (4, 5), (1,), ()):
            constants = (weights(*other),) if bias is None else (weights(*other), weights(*bias))
            yield Case("Gemm", 13, shape, constants, transA=trans_a, transB=trans_b, alpha=alpha, beta=beta)
    for opset in OPSETS:
        yield Case("Gemm", opset, (1, 48), (weights(10, 48), weights(10)), transB=1)
        yield Case("Gemm", opset, (1, 48), (weights(48, 10),))
    shapes = (((4, 6), (6, 5)), ((2, 4, 6), (6, 5)), ((2, 4, 6), (2, 6, 5)), ((4, 6), (3, 6, 5)),
              ((2, 1, 4, 6), (3, 6, 5)), ((6,), (6, 5)), ((4, 6), (6,)), ((1, 4, 1), (1, 1, 5)), ((1, 197, 64), (64, 192)))
    for opset, (left, right) in itertools.product((9, 13, 18), shapes):
        yield Case("MatMul", opset, left, (weights(*right),))


def norms():
    for opset, shape, epsilon in itertools.product((9, 14, 15, 18), ((1, 3, 5, 7), (2, 3), (2, 3, 8)), (1e-5, 1e-3, 0.1)):
        stats = (weights(3), weights(3), weights(3), weights(3, low=0.1, high=2.0))
        yield Case("BatchNormalization", opset, shape, stats, epsilon=epsilon)
        yield Case("BatchNormalization", opset, shape, stats, epsilon=epsilon, momentum=0.5)
    stats = (weights(3), weights(3), weights(3), weights(3, low=0.1, high=2.0))
    yield Case("BatchNormalization", 15, (2, 3, 4, 4), stats, outputs=3, training_mode=1)
    for opset, shape, epsilon in itertools.product((9, 18, 22), ((1, 3, 5, 7), (2, 3, 8), (1, 3, 2, 3, 4)), (1e-5, 0.1)):
        yield Case("InstanceNormalization", opset, shape, (weights(3), weights(3)), epsilon=epsilon)
    for axis, epsilon in itertools.product((-1, -2, 1, 2, 3), (1e-5, 0.1)):
        shape = (1, 3, 5, 7)[axis:]
        yield Case("LayerNormalization", 17, (1, 3, 5, 7), (weights(*shape), weights(*shape)), axis=axis, epsilon=epsilon)
        yield Case("LayerNormalization", 17, (1, 3, 5, 7), (weights(*shape),), axis=axis, epsilon=epsilon)
        yield Case("RMSNormalization", 23, (1, 3, 5, 7), (weights(*shape),), axis=axis, epsilon=epsilon)
    yield Case("LayerNormalization", 17, (1, 197, 64), (weights(64), weights(64)))
    yield Case("LayerNormalization", 17, (1, 3, 5, 7), (weights(1), weights(1)))
    for groups, epsilon in itertools.product((1, 2, 3, 6), (1e-5, 0.1)):
        yield Case("GroupNormalization", 21, (1, 6, 5, 7), (weights(6), weights(6)), num_groups=groups, epsilon=epsilon)
        yield Case("GroupNormalization", 21, (2, 6, 9), (weights(6), weights(6)), num_groups=groups, epsilon=epsilon)
        yield Case("GroupNormalization", 18, (1, 6, 5, 7), (weights(groups), weights(groups)), num_groups=groups)
    for size, alpha, beta, bias in itertools.product((1, 3, 5, 2, 4), (1e-4, 0.1), (0.75, 0.5), (1.0, 2.0)):
        yield Case("LRN", 13, (1, 8, 5, 7), size=size, alpha=alpha, beta=beta, bias=bias)
    for axis, p, opset in itertools.product((-1, 0, 1, 2, 3), (1, 2), (9, 18, 22)):
        yield Case("LpNormalization", opset, (2, 3, 5, 7), axis=axis, p=p)
    for op, opset, axis in itertools.product(("Softmax", "LogSoftmax", "Hardmax"), (9, 11, 13, 18), (None, -1, 0, 1, 2, 3)):
        extra = {} if axis is None else {"axis": axis}
        yield Case(op, opset, (2, 3, 5, 7), **extra)
        yield Case(op, opset, (2, 11), low=-30.0, high=30.0, **extra)
        if op != "Hardmax":
            yield Case(op, opset, (2, 11), low=-300.0, high=300.0, tag="wide", **extra)
    # Far from 0, where a variance from the mean of squares loses digits. Without GroupNormalization, for which ONNX
    # Runtime loses them.
    for low, high in ((99.0, 101.0), (1000.0, 1001.0)):
        for axis in (1, 2):
            pair = (weights(*(1, 5, 64)[axis:]), weights(*(1, 5, 64)[axis:]))
            yield Case("LayerNormalization", 17, (1, 5, 64), pair, axis=axis, low=low, high=high, tag=f"at{low}")
    for opset in (13, 18):
        yield Case("InstanceNormalization", opset, (1, 3, 8, 8), (weights(3), weights(3)), low=99.0, high=101.0, tag="at99")
    for axes in ([0, 2, 3], [2, 3], [1], [-1]):
        yield Case("MeanVarianceNormalization", 13, (2, 3, 5, 7), axes=axes)


def reductions():
    ops = "Mean Sum Max Min L1 L2 LogSum LogSumExp Prod SumSquare".split()
    choices = (None, [2, 3], [-1], [1], [0, 1], [-2, -1], [1, 2, 3], [0], [3, 2])
    for op, opset, axes, keep in itertools.product(ops, (9, 11, 13, 18, 20), choices, (0, 1)):
        name = f"Reduce{op}"
        low, high = (0.5, 2.0) if op in ("LogSum", "Prod") else (-2.0, 2.0)
        as_input = opset >= 18 or (opset >= 13 and op == "Sum")
        shape = (1, 3, 5, 6)
        if axes is None:
            yield Case(name, opset, shape, keepdims=keep, low=low, high=high)
        elif as_input:
            yield Case(name, opset, shape, (ints(*axes),), keepdims=keep, low=low, high=high)
        else:
            yield Case(name, opset, shape, axes=axes, keepdims=keep, low=low, high=high)
    for noop in (0, 1):
        yield Case("ReduceSum", 13, (1, 3, 5, 6), keepdims=1, noop_with_empty_axes=noop)
        yield Case("ReduceMean", 18, (1, 3, 5, 6), keepdims=1, noop_with_empty_axes=noop)
        yield Case("ReduceMean", 18, (1, 3, 5, 6), (ints(2, 3),), keepdims=1, noop_with_empty_axes=noop)
        yield Case("ReduceMean", 18, (1, 3, 5, 6), (ints(),), keepdims=1, noop_with_empty_axes=noop)


def layouts():
    for opset in (9, 13, 18, 21):
        for shape in ((1, -1), (0, -1), (3, 35), (1, 0, 35), (-1,), (1, 3, 7, 5), (0, 0, -1), (1, 3, 5, 7, 1)):
            yield Case("Reshape", opset, (1, 3, 5, 7), (ints(*shape),))
        for axis in (None, 0, 1, 2, 3, 4, -1, -2):
            yield Case("Flatten", opset, (2, 3, 5, 7), **({} if axis is None else {"axis": axis}))
        for order in (None, [0, 2, 3, 1], [0, 3, 1, 2], [3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 3, 2]):
            yield Case("Transpose", opset, (2, 3, 5, 7), **({} if order is None else {"perm": order}))
        for axes in ([0], [1], [0, 2], [-1], [0, -2], [5]):
            as_input = opset >= 13
            yield Case("Unsqueeze", opset, (3, 5, 7), *(((ints(*axes),),) if as_input else ()),
                       **({} if as_input else {"axes": axes}))
        for axes in ([0], [0, 2], [-1], [2, -1], [1]):
            as_input = opset >= 13
            yield Case("Squeeze", opset, (1, 3, 1, 1), *(((ints(*axes),),) if as_input else ()),
                       **({} if as_input else {"axes": axes}))
        for axis in (0, 1, 2, 3, -1, -2):
            yield Case("Concat", opset, (2, 3, 4, 5), (weights(2, 3, 4, 5),), axis=axis)
        yield Case("Concat", opset, (2, 3, 4, 5), (weights(2, 1, 4, 5), weights(2, 6, 4, 5)), axis=1)
        yield Case("Concat", opset, (1, 196, 16), (weights(1, 1, 16),), axis=1)
        for indices, axis in itertools.product((ints(0), ints(1, 0), np.int64(1), np.int64(-1), ints(0, 1).reshape(2, 1)),
                                               (0, 1, 2, -1)):
            yield Case("Gather", opset, (2, 3, 4), (indices,), axis=axis)
        yield Case("Expand", opset, (3, 1, 7), (ints(2, 3, 5, 7),))
        yield Case("Expand", opset, (3, 1, 7), (ints(1, 1, 1),))
        yield Case("Expand", opset, (3, 1, 7), (ints(3, 5, 1),))
        yield Case("Tile", opset, (1, 3, 2, 2), (ints(1, 2, 3, 1),))
        for block in (1, 2, 3):
            yield Case("SpaceToDepth", opset, (1, 4, 6, 12), blocksize=block)
            yield Case("DepthToSpace", opset, (1, 36, 2, 3), blocksize=block)
            if opset > 9:
                yield Case("DepthToSpace", opset, (1, 36, 2, 3), blocksize=block, mode="CRD")
    slices = (([0], [2], [1], [1]), ([1], [9], [2], [1]), ([-3], [-1], [3], [1]), ([0, 1], [2, 4], [1, 2], [1, 1]),
              ([0], [6], [3], [2]), ([5], [0], [3], [-1]), ([-1], [-9], [3], [-2]), ([0], [2**40], [-1], [3]),
              ([1, 1], [3, 3], [3, 2], [1, 1]), ([-2], [2**63 - 1], [2], [1]), ([0], [-1], [2], [1]))
    for starts, ends, axes, steps in slices:
        for opset in (10, 11, 13, 18):
            yield Case("Slice", opset, (1, 3, 5, 7), (ints(*starts), ints(*ends), ints(*axes), ints(*steps)))
        if steps == [1] * len(steps):
            yield Case("Slice", 9, (1, 3, 5, 7), starts=starts, ends=ends, axes=axes)
            yield Case("Slice", 13, (1, 3, 5, 7), (ints(*starts), ints(*ends), ints(*axes)))
    yield Case("Slice", 9, (2, 3, 5), starts=[0, 1], ends=[1, 3])
    yield Case("Slice", 13, (2, 3, 5), (ints(0, 1), ints(1, 3)))
    for opset, axis, parts in itertools.product((9, 11, 13, 17, 18), (0, 1, -1, 2), (None, [2, 4], [1, 5], [3, 3])):
        constants = (ints(*parts),) if parts and opset >= 13 else ()
        extra = {"split": parts} if parts and opset < 13 else {}
        if parts is None and opset >= 18:
            extra = {"num_outputs": 2}
        yield Case("Split", opset, (6, 6, 6), constants, outputs=2, axis=axis, **extra)
    yield Case("Split", 18, (7, 3), outputs=2, axis=0, num_outputs=2)
    yield Case("Split", 13, (1, 6, 5, 7), outputs=3, axis=1)
    pads = ([0, 0, 1, 1, 0, 0, 1, 1], [0, 0, 0, 1, 0, 0, 2, 3], [0, 1, 0, 0, 0, 0, 0, 0], [0, 0, -1, -1, 0, 0, -1, -1],
            [0, 0, 1, -1, 0, 0, -1, 1], [0, 0, 4, 6, 0, 0, 4, 6])
    for mode, pad, opset in itertools.product(("constant", "reflect", "edge", "wrap"), pads, (9, 11, 13, 18, 19)):
        if opset < 11:
            yield Case("Pad", opset, (1, 3, 5, 7), mode=mode, pads=pad)
            yield Case("Pad", opset, (1, 3, 5, 7), mode=mode, pads=pad, value=1.5)
        else:
            yield Case("Pad", opset, (1, 3, 5, 7), (ints(*pad),), mode=mode)
            yield Case("Pad", opset, (1, 3, 5, 7), (ints(*pad), np.float32(1.5)), mode=mode)
    for axes in ((2, 3), (3, 2), (-1, -2), (1, 3)):
        yield Case("Pad", 18, (1, 3, 5, 7), (ints(1, 2, 0, 1), np.float32(0.5), ints(*axes)))
        yield Case("Pad", 18, (1, 3, 5, 7), (ints(1, 2, 0, 1), None, ints(*axes)))


def others():
    """Operators that the runtime computes wrongly in some range or not at all: each must be right or refused."""
    for output_shape, stride in itertools.product(([9, 9], [10, 10]), (2, 3)):
        yield Case("ConvTranspose", 11, (1, 2, 4, 4), (weights(2, 3, 3, 3),), strides=[stride] * 2, output_shape=output_shape)
    for pads, stride, padding in itertools.product(([0] * 4, [1] * 4, [0, 1, 1, 0]), (1, 2), (0, 1)):
        yield Case("ConvTranspose", 11, (1, 2, 4, 4), (weights(2, 3, 3, 3),), strides=[stride] * 2, pads=pads,
                   output_padding=[min(padding, stride - 1)] * 2)
    grid = random("grid", (1, 4, 4, 2), -1.2, 1.2)
    for mode, padding, align in itertools.product(("bilinear", "nearest", "bicubic"), ("zeros", "border", "reflection"), (0, 1)):
        yield Case("GridSample", 16, (1, 2, 5, 5), (grid,), mode=mode, padding_mode=padding, align_corners=align)
    for mode, transform in itertools.product(("nearest", "linear", "cubic"), ("half_pixel", "align_corners", "asymmetric")):
        yield Case("Resize", 13, (1, 2, 4, 4), (None, np.array([1, 1, 2, 2], np.float32)), mode=mode,
                   coordinate_transformation_mode=transform)
    yield Case("Upsample", 9, (1, 2, 4, 4), (np.array([1, 1, 2, 2], np.float32),), mode="nearest")
    yield Case("Mod", 13, (1, 3, 4), (weights(1, low=0.5, high=1.0),), fmod=1)
    yield Case("CumSum", 14, (3, 4), (np.int64(1),))
    yield Case("Einsum", 12, (3, 4), (weights(4, 5),), equation="ij,jk->ik")
    yield Case("Trilu", 14, (4, 4), upper=1)


def fake_networks():
    """Sequences of a few operators, as exporters write them."""
    image = random("networks", (1, 3, 16, 16))

    def network(name, opset, nodes, tensors):
        made = [nodes[-1].output[0]]
        constants = [numpy_helper.from_array(np.asarray(value), key) for key, value in tensors.items()]
        return f"network_{name}_{opset}", one_graph(nodes, [image], made, constants, opset), [image]

    node = helper.make_node
    first = {"w": random("w", (8, 3, 3, 3)), "b": random("b", (8,))}
    conv = node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for opset in (11, 13, 17, 18):
        yield network("silu", opset, [conv, node("Sigmoid", ["c"], ["s"]), node("Mul", ["c", "s"], ["m"]),
                                      node("GlobalAveragePool", ["m"], ["p"]), node("Flatten", ["p"], ["f"])], first)
        # Squeeze and excitation.
        excite = {**first, "w1": random("w1", (4, 8, 1, 1)), "w2": random("w2", (8, 4, 1, 1))}
        yield network("squeeze_excite", opset, [
            conv, node("GlobalAveragePool", ["c"], ["p"]), node("Conv", ["p", "w1"], ["q"]), node("Relu", ["q"], ["r"]),
            node("Conv", ["r", "w2"], ["t"]), node("HardSigmoid", ["t"], ["h"], alpha=1 / 6, beta=0.5),
            node("Mul", ["c", "h"], ["y"])], excite)
        # `x.view(x.size(0), -1)` by PyTorch's old exporter.
        axes = {} if opset >= 13 else {"axes": [0]}
        unsqueeze = node("Unsqueeze", ["g", "zero1"] if opset >= 13 else ["g"], ["u"], **axes)
        shapes = {**first, "zero": np.int64(0), "zero1": ints(0), "minus1": ints(-1)}
        yield network("view", opset, [
            conv, node("Shape", ["c"], ["s"]), node("Gather", ["s", "zero"], ["g"], axis=0), unsqueeze,
            node("Concat", ["u", "minus1"], ["n"], axis=0), node("Reshape", ["c", "n"], ["y"])], shapes)
        # GELU by the error function and decomposed LayerNorm: ViT and ConvNeXt of older exporters.
        tokens = {**first, "d": np.float32(1.4142135), "one": np.float32(1), "half": np.float32(0.5),
                  "two": np.float32(2), "eps": np.float32(1e-6), "flat": ints(1, 8, -1)}
        mean = {"axes": [-1]} if opset < 18 else {}
        extra = ["last"] if opset >= 18 else []
        tokens.update({"last": ints(-1)} if opset >= 18 else {})
        yield network("gelu_norm", opset, [
            conv, node("Reshape", ["c", "flat"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
            node("ReduceMean", ["t", *extra], ["m"], **mean), node("Sub", ["t", "m"], ["s"]),
            node("Pow", ["s", "two"], ["q"]), node("ReduceMean", ["q", *extra], ["v"], **mean),
            node("Add", ["v", "eps"], ["e"]), node("Sqrt", ["e"], ["sd"]), node("Div", ["s", "sd"], ["z"]),
            node("Div", ["z", "d"], ["zd"]), node("Erf", ["zd"], ["er"]), node("Add", ["er", "one"], ["p1"]),
            node("Mul", ["z", "p1"], ["zp"]), node("Mul", ["zp", "half"], ["y"])], tokens)
        # Attention of one head.
        attend = {**first, "flat": ints(1, 8, -1), "k": random("k", (8, 24)), "scale": np.float32(0.35)}
        split = {"split": [8, 8, 8]} if opset < 13 else {}
        parts = ["parts"] if opset >= 13 else []
        attend.update({"parts": ints(8, 8, 8)} if opset >= 13 else {})
        yield network("attention", opset, [
            conv, node("Reshape", ["c", "flat"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
            node("MatMul", ["t", "k"], ["qkv"]), node("Split", ["qkv", *parts], ["q", "kk", "v"], axis=2, **split),
            node("Transpose", ["kk"], ["kt"], perm=[0, 2, 1]), node("MatMul", ["q", "kt"], ["a"]),
            node("Mul", ["a", "scale"], ["as"]), node("Softmax", ["as"], ["p"], axis=2),
            node("MatMul", ["p", "v"], ["y"])], attend)
        # Channel shuffle.
        shuffle = {**first, "s1": ints(1, 2, 4, 8, 8), "s2": ints(1, 8, 8, 8)}
        yield network("shuffle", opset, [
            conv, node("Reshape", ["c", "s1"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1, 3, 4]),
            node("Reshape", ["t", "s2"], ["y"])], shuffle)
        # A class token expanded over a batch, by newer exporters.
        expand = {**first, "cls": random("cls", (1, 1, 8)), "flat": ints(1, 8, -1), "minus1": ints(-1, -1, -1),
                  "ones": ints(1, 1, 1)}
        yield network("class_token", opset, [
            conv, node("Reshape", ["c", "flat"], ["r"]), node("Transpose", ["r"], ["t"], perm=[0, 2, 1]),
            node("Shape", ["cls"], ["sh"]), node("Equal", ["minus1", "sh"], ["eq"]),
            node("Where", ["eq", "ones", "sh"], ["wh"]), node("Expand", ["cls", "wh"], ["ex"]),
            node("Concat", ["ex", "t"], ["y"], axis=1)], expand)


def cases():
    """Name, model and inputs of each graph, and whether it is also written in f16."""
    count = itertools.count()
    for source in (convolutions, pools, activations, pairs, matrices, norms, reductions, layouts, others):
        for case in source():
            number = next(count)
            case.name += f"_{number}"
            half = number % 7 == 0
            model = case.build(half)
            yield case.name, model, case.inputs, half
    for name, model, inputs in fake_networks():
        yield name, model, inputs, False
