//! ONNX encoders that are slow, large or invalid on purpose.
#![allow(dead_code, reason = "not every test needs all of it")]

use macula::runtime::{encode, pb};

/// A node with integer attributes.
pub fn node(op: &str, inputs: &[&str], output: &str, attributes: &[(&str, &[i64])]) -> pb::NodeProto {
    let attribute = attributes.iter().map(|(name, values)| pb::AttributeProto {
        name: (*name).to_owned(),
        r#type: pb::attribute_proto::AttributeType::Ints as i32,
        ints: values.to_vec(),
        ..Default::default()
    });
    pb::NodeProto {
        op_type: op.to_owned(),
        name: output.to_owned(),
        input: inputs.iter().map(|&name| name.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attribute.collect(),
        ..Default::default()
    }
}

/// An f32 tensor of one value.
pub fn weights(name: &str, dims: &[i64], value: f32) -> pb::TensorProto {
    let len = dims.iter().product::<i64>() as usize;
    pb::TensorProto {
        name: name.to_owned(),
        dims: dims.to_vec(),
        data_type: pb::tensor_proto::DataType::Float as i32,
        raw_data: value.to_le_bytes().repeat(len),
        ..Default::default()
    }
}

fn value(name: &str, dims: &[i64]) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dim = dims.iter().map(|&dim| Dimension { value: Some(Value::DimValue(dim)), ..Default::default() }).collect();
    let elem_type = pb::tensor_proto::DataType::Float as i32;
    let tensor = pb::type_proto::Tensor { elem_type, shape: Some(pb::TensorShapeProto { dim }) };
    let value = Some(pb::type_proto::Value::TensorType(tensor));
    pb::ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(pb::TypeProto { value, ..Default::default() }),
        ..Default::default()
    }
}

/// A model from `image`, of shape `input`, to `feature`.
pub fn model(input: &[i64], dim: i64, nodes: Vec<pb::NodeProto>, initializers: Vec<pb::TensorProto>) -> pb::ModelProto {
    let graph = pb::GraphProto {
        name: "crafted".into(),
        node: nodes,
        initializer: initializers,
        input: vec![value("image", input)],
        output: vec![value("feature", &[1, dim])],
        ..Default::default()
    };
    pb::ModelProto {
        ir_version: 8,
        opset_import: vec![pb::OperatorSetIdProto { domain: String::new(), version: 17 }],
        graph: Some(graph),
        ..Default::default()
    }
}

/// One convolution of a grey image of `side` with kernels of `kernel` to `channels`, and their means.
pub fn convolution(side: i64, kernel: i64, channels: i64) -> pb::ModelProto {
    let pad = kernel / 2;
    let nodes = vec![
        node("Conv", &["image", "weight"], "conv", &[("kernel_shape", &[kernel, kernel]), ("pads", &[pad; 4])]),
        node("GlobalAveragePool", &["conv"], "pool", &[]),
        node("Flatten", &["pool"], "feature", &[]),
    ];
    model(&[1, 1, side, side], channels, nodes, vec![weights("weight", &[channels, 1, kernel, kernel], 0.01)])
}

/// The flattened image, of shape `input`.
pub fn flat(input: &[i64]) -> pb::ModelProto {
    model(input, input.iter().product(), vec![node("Flatten", &["image"], "feature", &[])], Vec::new())
}

/// The bytes of `model` as a file.
pub fn encoded(model: &pb::ModelProto) -> Vec<u8> {
    encode(model)
}
