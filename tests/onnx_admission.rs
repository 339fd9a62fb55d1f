//! Which foreign ONNX graphs run and which are refused, by node and before memory is allocated. Mutated and crafted files
//! give an error quickly and never panic.
#![cfg(feature = "onnx")]

use std::time::{Duration, Instant};

use macula::encoder::HostEncoder;
use macula::runtime::{NODES_MAX, OnnxEncoder, OpenOptions, RuntimeError, TENSORS_MAX, decode, encode, pb};
use pb::attribute_proto::AttributeType;
use pb::tensor_proto::DataType;
use prost::Message;

const SIDE: usize = 8;

fn int(name: &str, i: i64) -> pb::AttributeProto {
    pb::AttributeProto { name: name.into(), r#type: AttributeType::Int as i32, i, ..Default::default() }
}

fn float(name: &str, f: f32) -> pb::AttributeProto {
    pb::AttributeProto { name: name.into(), r#type: AttributeType::Float as i32, f, ..Default::default() }
}

fn ints(name: &str, ints: &[i64]) -> pb::AttributeProto {
    let ints = ints.to_vec();
    pb::AttributeProto { name: name.into(), r#type: AttributeType::Ints as i32, ints, ..Default::default() }
}

fn text(name: &str, text: &str) -> pb::AttributeProto {
    let s = text.as_bytes().to_vec();
    pb::AttributeProto { name: name.into(), r#type: AttributeType::String as i32, s, ..Default::default() }
}

fn floats(name: &str, dims: &[i64]) -> pb::TensorProto {
    let len = dims.iter().product::<i64>();
    let float_data = (0..len).map(|at| (at * 7 % 11) as f32 / 11.0 - 0.4).collect();
    pb::TensorProto {
        name: name.into(),
        dims: dims.to_vec(),
        data_type: DataType::Float as i32,
        float_data,
        ..Default::default()
    }
}

fn integers(name: &str, values: &[i64]) -> pb::TensorProto {
    pb::TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: DataType::Int64 as i32,
        int64_data: values.to_vec(),
        ..Default::default()
    }
}

fn node(op: &str, inputs: &[&str], output: &str, attribute: Vec<pb::AttributeProto>) -> pb::NodeProto {
    pb::NodeProto {
        name: format!("the {output}"),
        op_type: op.into(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..Default::default()
    }
}

/// A declared value of shape `[1, 3, SIDE, SIDE]`.
fn declared(name: &str) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let size = |size| Dimension { value: Some(Value::DimValue(size)), ..Default::default() };
    let dim = [1, 3, SIDE as i64, SIDE as i64].map(size).to_vec();
    let shape = Some(pb::TensorShapeProto { dim });
    let tensor = pb::type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let value = Some(pb::type_proto::Value::TensorType(tensor));
    let r#type = Some(pb::TypeProto { value, ..Default::default() });
    pb::ValueInfoProto { name: name.into(), r#type, ..Default::default() }
}

/// A model from `image` to `feature`, for operator set 17.
fn model(node: Vec<pb::NodeProto>, initializer: Vec<pb::TensorProto>) -> pb::ModelProto {
    let (input, output) = (vec![declared("image")], vec![declared("feature")]);
    let graph = pb::GraphProto { node, initializer, input, output, ..Default::default() };
    let opset_import = vec![pb::OperatorSetIdProto { domain: String::new(), version: 17 }];
    pb::ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() }
}

/// [`model`] with nodes that make a vector of the last image.
fn image_model(mut nodes: Vec<pb::NodeProto>, weights: Vec<pb::TensorProto>) -> pb::ModelProto {
    let last = nodes.last().unwrap().output[0].clone();
    nodes.push(node("GlobalAveragePool", &[&last], "pooled", vec![]));
    nodes.push(node("Flatten", &["pooled"], "feature", vec![]));
    model(nodes, weights)
}

fn open(model: &pb::ModelProto) -> Result<OnnxEncoder, RuntimeError> {
    OnnxEncoder::from_bytes("m.onnx", &encode(model), &OpenOptions::default())
}

/// A network of common layers of encoders.
fn network() -> pb::ModelProto {
    let pads = || ints("pads", &[1, 1, 1, 1]);
    let stats = ["scale", "shift", "mean", "variance"].map(|name| {
        let mut tensor = floats(name, &[4]);
        tensor.float_data = vec![0.5, 1.0, 1.5, 2.0];
        tensor
    });
    let mut nodes = vec![
        node("Conv", &["image", "w1", "b1"], "c1", vec![pads(), ints("strides", &[2, 2]), int("group", 1)]),
        node("BatchNormalization", &["c1", "scale", "shift", "mean", "variance"], "n1", vec![float("epsilon", 1e-3)]),
        node("Clip", &["n1", "low", "high"], "r1", vec![]),
        node("Conv", &["r1", "w2"], "c2", vec![pads(), int("group", 4), ints("dilations", &[1, 1])]),
        node("Sigmoid", &["c2"], "s2", vec![]),
        node("Mul", &["c2", "s2"], "m2", vec![]),
        node("Add", &["m2", "r1"], "a2", vec![]),
        node("MaxPool", &["a2"], "p3", vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])]),
        node("Concat", &["p3", "p3"], "d3", vec![int("axis", 1)]),
        node("Transpose", &["d3"], "t3", vec![ints("perm", &[0, 2, 3, 1])]),
        node("Reshape", &["t3", "tokens"], "t4", vec![]),
        node("LayerNormalization", &["t4", "gain"], "l4", vec![int("axis", -1)]),
        node("MatMul", &["l4", "w4"], "q4", vec![]),
        node("Softmax", &["q4"], "f4", vec![int("axis", -1)]),
        node("ReduceMean", &["f4"], "v4", vec![ints("axes", &[1]), int("keepdims", 0)]),
        node("Gemm", &["v4", "w5", "b5"], "feature", vec![int("transB", 1)]),
    ];
    nodes[3].attribute.push(text("auto_pad", "NOTSET"));
    let mut weights = vec![
        floats("w1", &[4, 3, 3, 3]),
        floats("b1", &[4]),
        floats("low", &[]),
        floats("high", &[]),
        floats("w2", &[4, 1, 3, 3]),
        integers("tokens", &[1, -1, 8]),
        floats("gain", &[8]),
        floats("w4", &[8, 8]),
        floats("w5", &[5, 8]),
        floats("b5", &[5]),
    ];
    (weights[2].float_data, weights[3].float_data) = (vec![0.0], vec![6.0]);
    weights.extend(stats);
    model(nodes, weights)
}

#[test]
fn a_network_of_common_layers_runs() {
    let encoder = open(&network()).unwrap();
    assert_eq!(encoder.feature_dim(), 5);
    let image: Vec<f32> = (0..SIDE * SIDE * 3).map(|at| (at % 17) as f32 / 17.0).collect();
    let feature = encoder.encode_normalised(&image).unwrap();
    assert!(feature.iter().any(|&value| value != feature[0]), "{feature:?}");
}

/// PyTorch writes `F.pad` with widths from the last axis to the first and reverses them by a step of -1. The mean over a zero
/// border of 3 rows and 1 column shrinks by the share of the border.
#[test]
fn a_border_as_pytorch_writes_it_has_its_widths_reversed() {
    let border = |step: i64, columns: [i64; 2]| {
        let nodes = vec![
            node("Reshape", &["widths", "pairs"], "rows", vec![]),
            node("Slice", &["rows", "last", "before_first", "first_axis", "step"], "reversed", vec![]),
            node("Transpose", &["reversed"], "begins_and_ends", vec![ints("perm", &columns)]),
            node("Reshape", &["begins_and_ends", "flat"], "pads", vec![]),
            node("Pad", &["image", "pads"], "x", vec![]),
        ];
        let weights = vec![
            integers("widths", &[0, 1, 0, 3, 0, 0, 0, 0]),
            integers("pairs", &[-1, 2]),
            integers("last", &[-1]),
            integers("before_first", &[i64::MIN + 1]),
            integers("first_axis", &[0]),
            integers("step", &[step]),
            integers("flat", &[-1]),
        ];
        open(&image_model(nodes, weights))
    };
    let image: Vec<f32> = (0..SIDE * SIDE * 3).map(|at| (at % 17) as f32 / 17.0).collect();
    let plain = open(&image_model(vec![node("Relu", &["image"], "x", vec![])], vec![])).unwrap();
    let plain = plain.encode_normalised(&image).unwrap();
    let padded = border(-1, [1, 0]).unwrap().encode_normalised(&image).unwrap();
    let share = (SIDE * SIDE) as f32 / ((SIDE + 3) * (SIDE + 1)) as f32;
    for (padded, plain) in padded.iter().zip(&plain) {
        assert!((padded - plain * share).abs() < 1e-6, "{padded} and {plain}");
    }
    assert!(matches!(border(-2, [1, 0]), Err(RuntimeError::Unsupported { op, .. }) if op == "Slice"));
    let reversed_image = node("Slice", &["image", "last", "before_first", "axis", "step"], "x", vec![]);
    let ends = [("last", -1), ("before_first", i64::MIN + 1), ("axis", 2), ("step", -1)];
    let ends = ends.map(|(name, value)| integers(name, &[value])).to_vec();
    assert!(matches!(open(&image_model(vec![reversed_image], ends)), Err(RuntimeError::Unsupported { .. })));
}

/// Each operator with attributes for which the runtime is right, and with some for which it is wrong, panics or hangs.
#[test]
fn operators_run_where_the_runtime_is_right_and_are_refused_otherwise() {
    let pad = |pads: &[i64]| (node("Pad", &["image", "pads"], "x", vec![]), vec![integers("pads", pads)]);
    let norm = |mode| {
        let stats: Vec<_> = ["a", "b", "c", "d"].map(|name| floats(name, &[3])).to_vec();
        (node("BatchNormalization", &["image", "a", "b", "c", "d"], "x", vec![int("training_mode", mode)]), stats)
    };
    let celu = |alpha| (node("Celu", &["image"], "x", vec![float("alpha", alpha)]), vec![]);
    let conv = |attribute| (node("Conv", &["image", "w"], "x", vec![attribute]), vec![floats("w", &[2, 3, 3, 3])]);
    let reshape = |shape: &[i64]| (node("Reshape", &["image", "shape"], "x", vec![]), vec![integers("shape", shape)]);
    for (good, weights) in
        [pad(&[0, 0, 1, 2, 0, 0, 1, 0]), norm(0), celu(1.0), conv(ints("strides", &[2, 2])), reshape(&[1, 4, 6, 8])]
    {
        let op = good.op_type.clone();
        let opened = open(&image_model(vec![good], weights));
        assert!(opened.is_ok(), "{op}: {:?}", opened.err());
    }
    let divide = || vec![floats("d", &[1])];
    let bad = [
        pad(&[0, 0, -1, -1, 0, 0, -1, -1]),
        pad(&[0, 0, 1 << 40, 0, 0, 0, 0, 0]),
        pad(&[0, 0, i64::MAX, i64::MAX, 0, 0, i64::MAX, i64::MAX]),
        norm(1),
        celu(2.0),
        conv(ints("strides", &[0, 2])),
        conv(ints("strides", &[2])),
        conv(ints("dilations", &[1 << 62, 1])),
        conv(ints("pads", &[-1, 0, 0, 0])),
        conv(int("group", 0)),
        conv(int("group", i64::MIN)),
        conv(text("auto_pad", "SAME")),
        conv(int("unheard_of", 1)),
        reshape(&[1 << 40, 1 << 40]),
        reshape(&[-1, -1]),
        reshape(&[0, 0, 0, 0, 0]),
        (node("Mod", &["d", "image"], "x", vec![int("fmod", 1)]), divide()),
        (node("Expand", &["image", "shape"], "x", vec![]), vec![integers("shape", &[1 << 20, 1 << 20, 1, 1])]),
        (node("Tile", &["image", "shape"], "x", vec![]), vec![integers("shape", &[i64::MAX, 1, 1, 1])]),
        (node("ConstantOfShape", &["shape"], "x", vec![]), vec![integers("shape", &[1 << 31, 1 << 31])]),
        (node("GlobalLpPool", &["image"], "x", vec![int("p", 2)]), vec![]),
        (node("GridSample", &["image", "g"], "x", vec![text("mode", "bicubic")]), vec![floats("g", &[1, 4, 4, 2])]),
        (node("ConvTranspose", &["image", "w"], "x", vec![]), vec![floats("w", &[3, 2, 3, 3])]),
        (node("NonZero", &["image"], "x", vec![]), vec![]),
        (node("RandomNormalLike", &["image"], "x", vec![]), vec![]),
        (node("Transpose", &["image"], "x", vec![ints("perm", &[0, 1, 1, 3])]), vec![]),
        (node("Concat", &["image", "image"], "x", vec![int("axis", 9)]), vec![]),
        (node("MaxPool", &["image"], "x", vec![ints("kernel_shape", &[9, 9])]), vec![]),
        (node("AveragePool", &["image"], "x", vec![ints("kernel_shape", &[1 << 40, 1])]), vec![]),
        (node("Gather", &["image", "at"], "x", vec![int("axis", 1)]), vec![integers("at", &[3])]),
        (node("Add", &["image", "image2"], "x", vec![]), vec![]),
    ];
    for (node, weights) in bad {
        let op = node.op_type.clone();
        match open(&image_model(vec![node], weights)) {
            Err(RuntimeError::Unsupported { node, op: named, .. }) => assert_eq!((node.as_str(), named), ("the x", op)),
            Err(RuntimeError::Limit { .. }) if op == "Reshape" || op == "Pad" => {}
            other => panic!("{op}: {:?}", other.err()),
        }
    }
}

#[test]
fn control_flow_and_foreign_operators_are_refused() {
    let mut own = image_model(vec![node("Relu", &["image"], "x", vec![])], vec![]);
    own.graph.as_mut().unwrap().node[0].domain = "com.example".into();
    assert!(matches!(open(&own), Err(RuntimeError::Unsupported { op, .. }) if op == "com.example.Relu"));
    for op in ["Loop", "If", "Scan", "SequenceConstruct", "Optional", "StringNormalizer"] {
        let refused = open(&image_model(vec![node(op, &["image"], "x", vec![])], vec![]));
        assert!(matches!(refused, Err(RuntimeError::Unsupported { .. })), "{op}");
    }
    let mut functions = image_model(vec![node("Relu", &["image"], "x", vec![])], vec![]);
    functions.functions.push(pb::FunctionProto { name: Some("Relu".into()), ..Default::default() });
    assert!(matches!(open(&functions), Err(RuntimeError::Malformed { .. })));
    let mut newer = image_model(vec![node("Relu", &["image"], "x", vec![])], vec![]);
    newer.opset_import[0].version = 1_000;
    assert!(matches!(open(&newer), Err(RuntimeError::Malformed { .. })));
    let circle = vec![node("Add", &["image", "y"], "x", vec![]), node("Relu", &["x"], "y", vec![])];
    assert!(matches!(open(&image_model(circle, vec![])), Err(RuntimeError::Unsupported { .. })));
    let twice = vec![node("Relu", &["image"], "x", vec![]), node("Abs", &["image"], "x", vec![])];
    assert!(matches!(open(&image_model(twice, vec![])), Err(RuntimeError::Unsupported { .. })));
}

/// Weights whose shape does not fit their bytes.
#[test]
fn incomplete_weights_are_refused() {
    type Spoil = fn(&mut pb::TensorProto);
    let spoils: [Spoil; 8] = [
        |tensor| tensor.dims = vec![2, 3, 3, 4],
        |tensor| tensor.dims = vec![-2, -3, 3, 3],
        |tensor| tensor.dims = vec![1 << 32, 1 << 32, 3, 3],
        |tensor| tensor.dims = vec![0, 3, 3, 3],
        |tensor| tensor.data_type = DataType::Double as i32,
        |tensor| tensor.data_type = 9_999,
        |tensor| tensor.raw_data = vec![0; 7],
        |tensor| tensor.data_location = Some(1),
    ];
    let conv = || node("Conv", &["image", "w"], "x", vec![]);
    assert!(open(&image_model(vec![conv()], vec![floats("w", &[2, 3, 3, 3])])).is_ok());
    for (index, spoil) in spoils.into_iter().enumerate() {
        let mut weights = floats("w", &[2, 3, 3, 3]);
        spoil(&mut weights);
        let refused = open(&image_model(vec![conv()], vec![weights]));
        assert!(matches!(refused, Err(RuntimeError::Malformed { .. })), "{index}: {:?}", refused.err());
    }
}

/// The image, repeated `times` along `axis` again and again: `x0`, `x1`, …
fn doubled(times: usize, axis: i64) -> Vec<pb::NodeProto> {
    let mut nodes = vec![node("Relu", &["image"], "x0", vec![])];
    for at in 0..times {
        let (from, to) = (format!("x{at}"), format!("x{}", at + 1));
        nodes.push(node("Concat", &[&from, &from], &to, vec![int("axis", axis)]));
    }
    nodes
}

#[test]
fn limits_are_checked_before_memory_is_allocated() {
    let started = Instant::now();
    let limit = |model: &pb::ModelProto| match open(model) {
        Err(RuntimeError::Limit { what, found, limit, .. }) => {
            assert!(found > limit);
            what
        }
        other => panic!("{:?}", other.err()),
    };
    let chain = |count: u64| {
        let name = |at: u64| if at == 0 { "image".to_owned() } else { format!("x{at}") };
        let relu = |at| node("Relu", &[&name(at)], &name(at + 1), vec![]);
        image_model((0..count).map(relu).collect(), vec![])
    };
    assert_eq!(limit(&chain(NODES_MAX + 1)), "operators");
    let many = (0..=TENSORS_MAX).map(|at| floats(&format!("w{at}"), &[1])).collect();
    assert_eq!(limit(&image_model(vec![node("Relu", &["image"], "x", vec![])], many)), "tensors");
    // tract lists every point of a 127 × 127 kernel at every position of 256 × 256 when it prepares the graph.
    let mut nodes = doubled(5, 2);
    for at in 5..10 {
        let (from, to) = (format!("x{at}"), format!("x{}", at + 1));
        nodes.push(node("Concat", &[&from, &from], &to, vec![int("axis", 3)]));
    }
    let pool = |side: i64| vec![ints("kernel_shape", &[side; 2]), ints("pads", &[side / 2; 4])];
    nodes.push(node("MaxPool", &["x10"], "pool", pool(5)));
    assert!(open(&image_model(nodes.clone(), vec![])).is_ok());
    nodes.push(node("MaxPool", &["x10"], "large", pool(127)));
    assert_eq!(limit(&image_model(nodes, vec![])), "operations for one image");
    let doubling = |times| doubled(times, 2);
    assert!(open(&image_model(doubling(3), vec![])).is_ok());
    // 200 million values are allowed once, not three times.
    let mut large = doubling(20);
    large.extend([node("Relu", &["x20"], "a", vec![]), node("Abs", &["x20"], "b", vec![])]);
    large.push(node("Add", &["a", "b"], "c", vec![]));
    assert_eq!(limit(&image_model(large, vec![])), "bytes of memory for one image");
    let mut wide = doubling(14);
    wide.push(node("Flatten", &["x14"], "feature", vec![]));
    assert_eq!(limit(&model(wide, vec![])), "values of a feature");
    // A square matrix of 8,192 rows takes 5.5 × 10¹¹ multiply-accumulates to multiply by itself, and 268 MB.
    let mut slow = doubling(10);
    slow.push(node("Reshape", &["x10", "column"], "column_vector", vec![]));
    slow.push(node("Transpose", &["column_vector"], "row", vec![]));
    slow.push(node("MatMul", &["column_vector", "row"], "square", vec![]));
    slow.push(node("MatMul", &["square", "square"], "feature", vec![]));
    slow[0] = node("Slice", &["image", "start", "end"], "x0", vec![]);
    let weights = vec![integers("column", &[-1, 1]), integers("start", &[0; 4]), integers("end", &[1, 1, 8, 1])];
    assert_eq!(limit(&model(slow, weights)), "operations for one image");
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

/// Every two bytes of the file decode to more than a thousand.
#[test]
fn a_file_that_expands_when_decoded_is_refused() {
    let field = |number: u8, body: &[u8]| {
        let mut bytes = vec![number << 3 | 2];
        prost::encoding::encode_varint(body.len() as u64, &mut bytes);
        bytes.extend_from_slice(body);
        bytes
    };
    let empty_attributes = [5 << 3 | 2, 0].repeat(1_000_000);
    let bytes = field(7, &field(1, &empty_attributes));
    let started = Instant::now();
    assert!(matches!(decode(&bytes, "m.onnx"), Err(RuntimeError::Limit { .. })));
    assert!(started.elapsed() < Duration::from_secs(2));
    // Graphs in attributes in graphs.
    let mut nested = Vec::new();
    for _ in 0..200 {
        nested = field(1, &field(5, &field(6, &nested)));
    }
    assert!(matches!(decode(&field(7, &nested), "m.onnx"), Err(RuntimeError::Malformed { .. })));
}

/// A random generator that gives the same numbers on every machine.
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    fn number(&mut self) -> i64 {
        let odd = [0, 1, -1, 2, 3, 7, 8, 64, 255, 1_000, 65_536, 1 << 31, 1 << 32, 1 << 40, i64::MAX, i64::MIN, -2, 5];
        odd[self.below(odd.len())]
    }
}

const OPS: [&str; 30] = [
    "Relu",
    "Add",
    "Mul",
    "Div",
    "Conv",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Flatten",
    "Reshape",
    "Transpose",
    "Concat",
    "Split",
    "Slice",
    "Gather",
    "Squeeze",
    "Unsqueeze",
    "Gemm",
    "MatMul",
    "Softmax",
    "ReduceMean",
    "ReduceSum",
    "Pad",
    "Expand",
    "Tile",
    "Shape",
    "Cast",
    "Where",
    "DepthToSpace",
    "BatchNormalization",
];

/// Changes one thing of `graph`.
fn mutate(graph: &mut pb::GraphProto, draws: &mut Draws) {
    let (node_at, tensor_at) = (draws.below(graph.node.len()), draws.below(graph.initializer.len()));
    let count = graph.node.len();
    let value = |draws: &mut Draws, graph: &pb::GraphProto| match draws.below(3) {
        0 => graph.initializer[draws.below(graph.initializer.len())].name.clone(),
        1 => graph.node[draws.below(count)].output[0].clone(),
        _ => "image".to_owned(),
    };
    let other = value(draws, graph);
    let number = draws.number();
    let (node, tensor) = (&mut graph.node[node_at], &mut graph.initializer[tensor_at]);
    match draws.below(14) {
        0 if !tensor.dims.is_empty() => {
            let at = draws.below(tensor.dims.len());
            tensor.dims[at] = number;
        }
        1 => tensor.dims.push(number),
        2 => drop(tensor.dims.pop()),
        3 => tensor.data_type = draws.below(25) as i32,
        4 => {
            tensor.float_data.truncate(draws.below(tensor.float_data.len()));
            tensor.raw_data = vec![0x7f; draws.below(40)];
        }
        5 if !tensor.int64_data.is_empty() => {
            let at = draws.below(tensor.int64_data.len());
            tensor.int64_data[at] = number;
        }
        6 if !node.attribute.is_empty() => {
            let at = draws.below(node.attribute.len());
            let attribute = &mut node.attribute[at];
            attribute.i = number;
            let at = draws.below(attribute.ints.len());
            if let Some(value) = attribute.ints.get_mut(at) {
                *value = number;
            }
        }
        7 if !node.attribute.is_empty() => {
            let at = draws.below(node.attribute.len());
            node.attribute[at].ints.push(number);
        }
        8 => node.attribute.push(match draws.below(5) {
            0 => int("axis", number),
            1 => ints("axes", &[number]),
            2 => int("keepdims", number),
            3 => ints("pads", &[number, 1, 0, 1]),
            _ => int("group", number),
        }),
        9 | 10 => node.op_type = OPS[draws.below(OPS.len())].to_owned(),
        11 if !node.input.is_empty() => {
            let at = draws.below(node.input.len());
            node.input[at] = other;
        }
        12 => node.input.push(other),
        _ => drop(node.input.pop()),
    }
}

/// None panics, not even with a panic that is caught (device programs abort), and none takes long.
#[test]
fn mutated_networks_never_panic() {
    let image: Vec<f32> = (0..SIDE * SIDE * 3).map(|at| (at % 17) as f32 / 17.0).collect();
    let base = network();
    let (mut draws, mut ran, mut refused) = (Draws(7), 0, 0);
    let mut slowest = Duration::ZERO;
    for round in 0..3_000 {
        let mut changed = base.clone();
        for _ in 0..1 + round % 3 {
            mutate(changed.graph.as_mut().unwrap(), &mut draws);
        }
        let started = Instant::now();
        match open(&changed) {
            Ok(encoder) => match encoder.encode_normalised(&image) {
                Ok(_) => ran += 1,
                Err(error) => assert!(!error.to_string().contains("panic"), "{round}: {error}"),
            },
            Err(RuntimeError::Fault { message, .. }) => panic!("{round}: {message}\n{:?}", changed.graph.unwrap().node),
            Err(_) => refused += 1,
        }
        slowest = slowest.max(started.elapsed());
    }
    assert!(ran > 100 && refused > 1_000, "{ran} ran, {refused} were refused");
    assert!(slowest < Duration::from_secs(10), "{slowest:?}");
}

#[test]
fn changed_bytes_never_panic() {
    let bytes = network().encode_to_vec();
    let mut draws = Draws(11);
    for round in 0..3_000 {
        let mut changed = bytes.clone();
        for _ in 0..1 + round % 4 {
            let at = draws.below(changed.len());
            changed[at] = draws.below(256) as u8;
        }
        if round % 5 == 0 {
            changed.truncate(draws.below(changed.len()));
        }
        let opened = OnnxEncoder::from_bytes("m.onnx", &changed, &OpenOptions::default());
        if let Err(RuntimeError::Fault { message, .. }) = opened {
            panic!("{round}: {message}");
        }
    }
}
