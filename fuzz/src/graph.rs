//! ONNX graphs built operator by operator, so that mutations reach preparation and execution instead of protobuf.
//!
//! | bytes | field                                              |
//! |------:|----------------------------------------------------|
//! |     4 | channels, height, width of the image; flags        |
//!
//! and up to six times:
//!
//! | bytes | field                                              |
//! |------:|----------------------------------------------------|
//! |     1 | operator                                           |
//! |     1 | its inputs: earlier values                         |
//! |     1 | numbers of constants and attributes, four bits each |
//! |       | constants and attributes, see code                 |

use macula::runtime::{encode, pb};
use pb::attribute_proto::AttributeType;
use pb::tensor_proto::DataType;

use crate::input::Input;
use crate::{Outcome, onnx};

/// Nodes of one graph, without the last, which flattens the result.
const NODES_MAX: usize = 6;

/// Operators of encoders, and some that encoders should not need.
const OPERATORS: &str = "\
    Conv ConvTranspose MaxPool AveragePool GlobalAveragePool GlobalMaxPool LpPool GlobalLpPool Relu LeakyRelu \
    PRelu Elu Selu Celu Clip Sigmoid HardSigmoid HardSwish Tanh Softplus Softmax Add Sub Mul Div Mod Pow Sqrt \
    Exp Log Abs Neg Reciprocal Floor Ceil Min Max MatMul Gemm BatchNormalization InstanceNormalization \
    LayerNormalization LpNormalization LRN Concat Split Slice Pad Reshape Flatten Squeeze Unsqueeze Transpose \
    Gather Expand Tile Resize ReduceMean ReduceSum ReduceMax Cast Identity DepthToSpace Gelu";

/// Names of attributes, over all operators.
const ATTRIBUTES: &str = "\
    kernel_shape strides pads dilations group auto_pad ceil_mode count_include_pad output_padding output_shape \
    alpha beta gamma epsilon axis axes keepdims perm mode coordinate_transformation_mode nearest_mode transA \
    transB to p size bias fmod blocksize approximate num_outputs allowzero";

/// String values of attributes.
const TEXTS: &str = "NOTSET SAME_UPPER SAME_LOWER VALID constant reflect edge nearest linear cubic asymmetric tanh";

/// Opens and runs the graph that `data` describes.
pub fn run(data: &[u8]) -> Outcome {
    onnx::run(&encode(&model(&mut Input::new(data))))
}

/// The model that an input describes.
pub fn model(input: &mut Input<'_>) -> pb::ModelProto {
    let channels = if input.byte() & 1 == 0 { 1 } else { 3 };
    let (height, width) = (i64::from(input.byte() % 16) + 1, i64::from(input.byte() % 16) + 1);
    let flags = input.byte();
    let batch = if flags & 1 == 0 { Dimension::Open } else { Dimension::Of(1) };
    let mut graph = pb::GraphProto { name: "graph".into(), ..Default::default() };
    let dims = [batch, Dimension::Of(channels), Dimension::Of(height), Dimension::Of(width)];
    graph.input.push(value("v0", &dims));
    for index in 0..NODES_MAX {
        if input.is_empty() {
            break;
        }
        node(input, index, &mut graph);
    }
    let last = format!("v{}", graph.node.len());
    let output = if flags & 2 == 0 {
        let flatten = pb::NodeProto {
            op_type: "Flatten".into(),
            input: vec![last],
            output: vec!["feature".into()],
            ..Default::default()
        };
        graph.node.push(flatten);
        "feature".to_owned()
    } else {
        last
    };
    graph.output.push(value(&output, &[Dimension::Open, Dimension::Open]));
    let version = i64::from(flags >> 2 & 15) + 9;
    let opset = pb::OperatorSetIdProto { domain: String::new(), version };
    pb::ModelProto { ir_version: 8, opset_import: vec![opset], graph: Some(graph), ..Default::default() }
}

/// The word at `number`, modulo their count, of words separated by spaces.
fn pick(words: &'static str, number: usize) -> &'static str {
    words.split(' ').cycle().nth(number % words.split(' ').count()).unwrap_or_default()
}

fn node(input: &mut Input<'_>, index: usize, graph: &mut pb::GraphProto) {
    let operator = pick(OPERATORS, input.byte().into());
    let (reads, counts) = (input.byte(), input.byte());
    // The previous value or an earlier one; binary operators read two.
    let mut inputs = vec![format!("v{}", index - usize::from(reads & 7).min(index))];
    if reads & 8 != 0 {
        inputs.push(format!("v{}", index - usize::from(reads >> 4 & 7).min(index)));
    }
    for constant in 0..usize::from(counts & 3) {
        let name = format!("c{index}_{constant}");
        graph.initializer.push(tensor(input, &name));
        inputs.push(name);
    }
    let attribute = (0..usize::from(counts >> 4 & 7)).map(|_| attribute(input)).collect();
    graph.node.push(pb::NodeProto {
        op_type: operator.into(),
        name: format!("n{index}"),
        input: inputs,
        output: vec![format!("v{}", index + 1)],
        attribute,
        ..Default::default()
    });
}

/// A constant of up to four small sides.
fn tensor(input: &mut Input<'_>, name: &str) -> pb::TensorProto {
    let (kind, seed) = (input.byte(), input.byte());
    let dims: Vec<i64> = (0..kind & 7).take(4).map(|_| i64::from(input.byte() % 9)).collect();
    let len = dims.iter().product::<i64>() as usize;
    let mut tensor = pb::TensorProto { dims, name: name.into(), ..Default::default() };
    let number = |at: usize| i64::from((seed as i8).wrapping_add((at as i8).wrapping_mul((kind >> 4) as i8)));
    if kind & 8 == 0 {
        tensor.data_type = DataType::Float as i32;
        tensor.float_data = (0..len).map(|at| number(at) as f32 / 32.0).collect();
    } else {
        tensor.data_type = DataType::Int64 as i32;
        tensor.int64_data = (0..len).map(number).collect();
    }
    tensor
}

fn attribute(input: &mut Input<'_>) -> pb::AttributeProto {
    let name = pick(ATTRIBUTES, input.byte().into());
    let kind = input.byte();
    let mut attribute = pb::AttributeProto { name: name.into(), ..Default::default() };
    let mut number = || i64::from(input.byte() as i8);
    match kind & 3 {
        0 => (attribute.r#type, attribute.i) = (AttributeType::Int as i32, number()),
        1 => (attribute.r#type, attribute.f) = (AttributeType::Float as i32, number() as f32 / 16.0),
        2 => {
            attribute.r#type = AttributeType::Ints as i32;
            attribute.ints = (0..kind >> 2 & 7).map(|_| number()).collect();
        }
        _ => {
            attribute.r#type = AttributeType::String as i32;
            attribute.s = pick(TEXTS, number().unsigned_abs() as usize).into();
        }
    }
    attribute
}

#[derive(Clone, Copy)]
enum Dimension {
    Open,
    Of(i64),
}

/// An `f32` value of this shape.
fn value(name: &str, dims: &[Dimension]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::dimension::Value;
    let dim = |dim: &Dimension| pb::tensor_shape_proto::Dimension {
        value: Some(match *dim {
            Dimension::Open => Value::DimParam("N".into()),
            Dimension::Of(side) => Value::DimValue(side),
        }),
        ..Default::default()
    };
    let shape = pb::TensorShapeProto { dim: dims.iter().map(dim).collect() };
    let tensor = pb::type_proto::Tensor { elem_type: DataType::Float as i32, shape: Some(shape) };
    let kind = pb::TypeProto { value: Some(pb::type_proto::Value::TensorType(tensor)), ..Default::default() };
    pb::ValueInfoProto { name: name.into(), r#type: Some(kind), ..Default::default() }
}
