//! The supported operators, each as far as the runtime computes it correctly.
//!
//! `./check onnx` (`tests/onnx_backend.py`, `tests/onnx_backend.rs`) tests them: all of ONNX's backend test vectors, and
//! some thousand graphs of one operator over ranges of attributes and operator sets, compared with ONNX Runtime. Each is
//! refused here or gives an equal result. A new row needs cases there.

use super::call::{Call, Made};
use super::fact::Element::{self, Bool, F16, F32, I32, I64};
use super::fact::Reason;
use super::{elementwise as e, layout as l, matrix as m, normalise as n, shapes as s, window as w};

/// Checks a node's attributes and operands and returns its results.
pub(super) type Rule = fn(&Call) -> Result<Made, Reason>;

/// The supported form of one operator.
pub(super) struct Operator {
    pub(super) name: &'static str,
    /// First and last operator set of the model.
    pub(super) opsets: (i64, i64),
    /// Least and largest number of inputs.
    pub(super) inputs: (usize, usize),
    /// Largest number of outputs.
    pub(super) outputs: usize,
    /// Element types of the first input; empty for operators without inputs.
    pub(super) elements: &'static [Element],
    /// Names of all supported attributes; the rule checks their values.
    pub(super) attributes: &'static [&'static str],
    pub(super) rule: Rule,
}

/// The supported operator `name` for a model of operator set `opset`.
///
/// # Errors
/// If the operator is not supported, or not in this operator set.
pub(super) fn find(name: &str, opset: i64) -> Result<&'static Operator, Reason> {
    let mut named = OPERATORS.iter().filter(|operator| operator.name == name).peekable();
    if named.peek().is_none() {
        return Err("the operator is not supported".into());
    }
    let fits = |operator: &&Operator| (operator.opsets.0..=operator.opsets.1).contains(&opset);
    named.find(fits).ok_or_else(|| format!("the operator is not supported in operator set {opset}"))
}

/// The newest operator set of the vectors.
pub(super) const NEWEST: i64 = 28;
/// The oldest operator set of the vectors.
pub(super) const OLDEST: i64 = 6;

const FLOATS: &[Element] = &[F32, F16];
const NUMBERS: &[Element] = &[F32, F16, I64, I32];
const ALL: &[Element] = &[F32, F16, I64, I32, Bool];
const TRUTHS: &[Element] = &[Bool];
const INTEGERS: &[Element] = &[I64, I32];

const MANY: usize = 256;

const fn operator(
    name: &'static str,
    opsets: (i64, i64),
    inputs: (usize, usize),
    elements: &'static [Element],
    attributes: &'static [&'static str],
    rule: Rule,
) -> Operator {
    Operator { name, opsets, inputs, outputs: 1, elements, attributes, rule }
}

/// One floating-point input, one result of its shape, no attributes.
const fn unary(name: &'static str) -> Operator {
    operator(name, (OLDEST, NEWEST), (1, 1), FLOATS, &[], e::same)
}

const fn reduce(name: &'static str) -> Operator {
    operator(name, (OLDEST, NEWEST), (1, 2), FLOATS, &["axes", "keepdims", "noop_with_empty_axes"], n::reduce_18)
}

const WINDOW: [&str; 5] = ["auto_pad", "dilations", "kernel_shape", "pads", "strides"];
const CONV: &[&str] = &[WINDOW[0], WINDOW[1], WINDOW[2], WINDOW[3], WINDOW[4], "group"];
const MAX_POOL: &[&str] = &[WINDOW[0], WINDOW[1], WINDOW[2], WINDOW[3], WINDOW[4], "ceil_mode", "storage_order"];
const AVERAGE_POOL: &[&str] =
    &[WINDOW[0], WINDOW[1], WINDOW[2], WINDOW[3], WINDOW[4], "ceil_mode", "count_include_pad"];

#[rustfmt::skip]
pub(super) const OPERATORS: &[Operator] = &[
    // Elementwise, one input.
    unary("Abs"), unary("Acos"), unary("Acosh"), unary("Asin"), unary("Asinh"), unary("Atan"), unary("Atanh"),
    unary("Ceil"), unary("Cos"), unary("Cosh"), unary("Erf"), unary("Exp"), unary("Floor"), unary("HardSwish"),
    unary("Log"), unary("Mish"), unary("Neg"), unary("Reciprocal"), unary("Relu"), unary("Round"), unary("Sigmoid"),
    unary("Sign"), unary("Sin"), unary("Sinh"), unary("Softplus"), unary("Softsign"), unary("Sqrt"), unary("Tan"),
    unary("Tanh"),
    operator("Identity", (OLDEST, NEWEST), (1, 1), ALL, &[], e::identity),
    operator("Elu", (OLDEST, NEWEST), (1, 1), FLOATS, &["alpha"], e::alpha),
    operator("LeakyRelu", (OLDEST, NEWEST), (1, 1), FLOATS, &["alpha"], e::alpha),
    operator("ThresholdedRelu", (10, NEWEST), (1, 1), FLOATS, &["alpha"], e::alpha),
    operator("HardSigmoid", (OLDEST, NEWEST), (1, 1), FLOATS, &["alpha", "beta"], e::alpha_beta),
    operator("Selu", (OLDEST, NEWEST), (1, 1), FLOATS, &["alpha", "gamma"], e::selu),
    operator("Celu", (12, NEWEST), (1, 1), FLOATS, &["alpha"], e::alpha_of_1),
    operator("Swish", (24, NEWEST), (1, 1), FLOATS, &["alpha"], e::alpha_of_1),
    operator("Shrink", (9, NEWEST), (1, 1), FLOATS, &["bias", "lambd"], e::shrink),
    operator("Gelu", (20, NEWEST), (1, 1), FLOATS, &["approximate"], e::gelu),
    operator("PRelu", (7, NEWEST), (2, 2), FLOATS, &[], e::prelu),
    operator("Clip", (OLDEST, NEWEST), (1, 3), FLOATS, &["max", "min"], e::clip),
    operator("Dropout", (7, NEWEST), (1, 3), FLOATS, &["ratio", "seed"], e::dropout),
    operator("Cast", (OLDEST, NEWEST), (1, 1), ALL, &["saturate", "to"], e::cast),
    operator("IsNaN", (9, NEWEST), (1, 1), FLOATS, &[], e::truths),

    // Elementwise, two or more inputs.
    operator("Add", (7, NEWEST), (2, 2), NUMBERS, &[], e::arithmetic),
    operator("Sub", (7, NEWEST), (2, 2), NUMBERS, &[], e::arithmetic),
    operator("Mul", (7, NEWEST), (2, 2), NUMBERS, &[], e::arithmetic),
    operator("Div", (7, NEWEST), (2, 2), NUMBERS, &[], e::arithmetic),
    operator("Pow", (7, NEWEST), (2, 2), FLOATS, &[], e::arithmetic),
    operator("Max", (8, NEWEST), (1, MANY), NUMBERS, &[], e::variadic),
    operator("Min", (8, NEWEST), (1, MANY), NUMBERS, &[], e::variadic),
    operator("Sum", (8, NEWEST), (1, MANY), FLOATS, &[], e::variadic),
    operator("Mean", (8, NEWEST), (1, MANY), FLOATS, &[], e::variadic),
    operator("Equal", (7, NEWEST), (2, 2), NUMBERS, &[], e::comparison),
    operator("Greater", (7, NEWEST), (2, 2), NUMBERS, &[], e::comparison),
    operator("GreaterOrEqual", (12, NEWEST), (2, 2), NUMBERS, &[], e::comparison),
    operator("Less", (7, NEWEST), (2, 2), NUMBERS, &[], e::comparison),
    operator("LessOrEqual", (12, NEWEST), (2, 2), NUMBERS, &[], e::comparison),
    operator("And", (7, NEWEST), (2, 2), TRUTHS, &[], e::logic),
    operator("Or", (7, NEWEST), (2, 2), TRUTHS, &[], e::logic),
    operator("Xor", (7, NEWEST), (2, 2), TRUTHS, &[], e::logic),
    operator("Not", (OLDEST, NEWEST), (1, 1), TRUTHS, &[], e::logic),
    operator("Where", (9, NEWEST), (3, 3), TRUTHS, &[], e::select),

    // Windows and matrices.
    operator("Conv", (OLDEST, NEWEST), (2, 3), FLOATS, CONV, w::conv),
    operator("MaxPool", (OLDEST, NEWEST), (1, 1), FLOATS, MAX_POOL, w::max_pool),
    operator("AveragePool", (OLDEST, NEWEST), (1, 1), FLOATS, AVERAGE_POOL, w::average_pool),
    operator("GlobalAveragePool", (OLDEST, NEWEST), (1, 1), FLOATS, &[], w::global_pool),
    operator("GlobalMaxPool", (OLDEST, NEWEST), (1, 1), FLOATS, &[], w::global_pool),
    operator("MatMul", (OLDEST, NEWEST), (2, 2), FLOATS, &[], m::matmul),
    operator("Gemm", (7, NEWEST), (2, 3), FLOATS, &["alpha", "beta", "transA", "transB"], m::gemm),

    // Normalisation and reduction.
    operator("BatchNormalization", (OLDEST, NEWEST), (5, 5), FLOATS,
        &["epsilon", "momentum", "spatial", "training_mode"], n::batch),
    operator("InstanceNormalization", (OLDEST, NEWEST), (3, 3), FLOATS, &["epsilon"], n::instance),
    Operator { outputs: 3,
        ..operator("LayerNormalization", (17, NEWEST), (2, 3), FLOATS, &["axis", "epsilon", "stash_type"], n::layer) },
    // Before operator set 21 scale and bias had one value per group.
    operator("GroupNormalization", (21, NEWEST), (3, 3), FLOATS, &["epsilon", "num_groups", "stash_type"], n::group),
    operator("RMSNormalization", (23, NEWEST), (2, 2), FLOATS, &["axis", "epsilon", "stash_type"], n::layer),
    operator("MeanVarianceNormalization", (9, NEWEST), (1, 1), &[F32], &["axes"], n::mean_variance),
    operator("LRN", (OLDEST, NEWEST), (1, 1), FLOATS, &["alpha", "beta", "bias", "size"], n::local_response),
    operator("LpNormalization", (OLDEST, NEWEST), (1, 1), FLOATS, &["axis", "p"], n::lp),
    operator("Softmax", (OLDEST, NEWEST), (1, 1), FLOATS, &["axis"], n::softmax),
    reduce("ReduceL1"), reduce("ReduceL2"), reduce("ReduceLogSum"), reduce("ReduceLogSumExp"), reduce("ReduceMax"),
    reduce("ReduceMean"), reduce("ReduceMin"), reduce("ReduceProd"), reduce("ReduceSumSquare"),
    operator("ReduceSum", (OLDEST, NEWEST), (1, 2), FLOATS, &["axes", "keepdims", "noop_with_empty_axes"], n::reduce_13),

    // Layout.
    operator("Concat", (OLDEST, NEWEST), (1, MANY), ALL, &["axis"], l::concat),
    operator("DepthToSpace", (OLDEST, NEWEST), (1, 1), FLOATS, &["blocksize", "mode"], l::depth_to_space),
    operator("SpaceToDepth", (OLDEST, NEWEST), (1, 1), FLOATS, &["blocksize"], l::space_to_depth),
    operator("Expand", (8, NEWEST), (2, 2), ALL, &[], l::expand),
    operator("Flatten", (OLDEST, NEWEST), (1, 1), FLOATS, &["axis"], l::flatten),
    operator("Gather", (OLDEST, NEWEST), (2, 2), ALL, &["axis"], l::gather),
    operator("Pad", (OLDEST, NEWEST), (1, 4), FLOATS, &["mode", "pads", "value"], l::pad),
    operator("Reshape", (OLDEST, NEWEST), (1, 2), ALL, &["allowzero"], l::reshape),
    operator("Slice", (OLDEST, NEWEST), (1, 5), ALL, &["axes", "ends", "starts"], l::slice),
    Operator { outputs: MANY, ..operator("Split", (OLDEST, NEWEST), (1, 2), ALL, &["axis", "num_outputs", "split"], l::split) },
    operator("Squeeze", (OLDEST, NEWEST), (1, 2), ALL, &["axes"], l::squeeze),
    operator("Tile", (OLDEST, NEWEST), (2, 2), FLOATS, &[], l::tile),
    operator("Transpose", (OLDEST, NEWEST), (1, 1), ALL, &["perm"], l::transpose),
    operator("Unsqueeze", (OLDEST, NEWEST), (1, 2), ALL, &["axes"], l::unsqueeze),

    // Constants and shapes.
    operator("Constant", (OLDEST, NEWEST), (0, 0), &[],
        &["value", "value_float", "value_floats", "value_int", "value_ints"], s::constant),
    operator("ConstantOfShape", (9, NEWEST), (1, 1), INTEGERS, &["value"], s::constant_of_shape),
    operator("Range", (11, NEWEST), (3, 3), INTEGERS, &[], s::range),
    operator("Shape", (OLDEST, NEWEST), (1, 1), ALL, &["end", "start"], s::shape),
    operator("Size", (OLDEST, NEWEST), (1, 1), ALL, &[], s::size),
];
