//! Encoder and head as one ONNX model: from an image to the probability of each class.
//!
//! `image` → the encoder → Flatten, Cast → `(feature - mean) / std` → divided by its length → times 32767, Round → MatMul,
//! Add → Softmax → `probabilities` `[N, C]`. Every added operator means the same from operator set 13 to the
//! newest; the length is a MatMul with ones because ReduceL2 has changed.
//!
//! Everything is f32. An f16 encoder is widened to the numbers that a device without f16 arithmetic computes with: a
//! runtime that rounds every value to f16 would give other features, and sometimes another class.

use half::f16;
use macula_edge::feature::UNIT;

use super::LinearHead;
use crate::runtime::pb;
use pb::tensor_proto::DataType;

/// Lowest operator set: Softmax was another function before.
const OPSET_MIN: i64 = 13;

/// Name of the output.
pub const PROBABILITIES: &str = "probabilities";
/// Metadata: names of the classes as a JSON array, in the order of the columns.
pub const CLASSES_KEY: &str = "macula.classes";
/// Metadata: the head without its weights, JSON.
pub const HEAD_KEY: &str = "macula.head";

/// Prefix of added names.
const PREFIX: &str = "macula_head_";

/// A head could not be appended to an encoder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClassifierError {
    /// The description of the head has no JSON form.
    #[error("the description of the head has no JSON form: {0}")]
    Describe(String),
    /// The operator set is too old.
    #[error("the encoder has operator set {found}; a head needs {OPSET_MIN} or later")]
    Opset {
        /// The encoder's operator set.
        found: i64,
    },
    /// The encoder already uses a name of the head.
    #[error("the encoder already has a head: it uses the name '{name}'")]
    Name {
        /// The name.
        name: String,
    },
    /// The model has no graph or no output.
    #[error("the model has no graph with an output")]
    NoOutput,
    /// Weights, biases and statistics of the head have different sizes.
    #[error("weights, biases and statistics of the head have different sizes")]
    Head,
    /// An f16 tensor is stored in an unsupported form.
    #[error("the f16 tensor '{name}' is stored in an unsupported form")]
    Tensor {
        /// The tensor.
        name: String,
    },
}

/// Appends `head` to `encoder`.
///
/// # Errors
/// See [`ClassifierError`].
pub fn classifier(encoder: &pb::ModelProto, head: &LinearHead) -> Result<pb::ModelProto, ClassifierError> {
    let mut model = encoder.clone();
    let opset = model.opset_import.iter().find(|set| set.domain.is_empty() || set.domain == "ai.onnx");
    let found = opset.map_or(0, |set| set.version);
    if found < OPSET_MIN {
        return Err(ClassifierError::Opset { found });
    }
    let dim = head.dim();
    let corpus_fits = head.corpus.as_ref().is_none_or(|corpus| corpus.mean.len() == dim && corpus.std.len() == dim);
    if !corpus_fits
        || head.weights.iter().any(|row| row.len() != dim)
        || [head.biases.len(), head.classes.len()] != [head.weights.len(); 2]
    {
        return Err(ClassifierError::Head);
    }
    let graph = model.graph.as_mut().ok_or(ClassifierError::NoOutput)?;
    widen(graph)?;
    let names = graph.node.iter().flat_map(|node| &node.output);
    if let Some(name) = names.into_iter().find(|name| name.starts_with(PREFIX) || *name == PROBABILITIES) {
        return Err(ClassifierError::Name { name: name.clone() });
    }
    let feature = graph.output.first().ok_or(ClassifierError::NoOutput)?.name.clone();
    let mut appender = Appender { graph, last: feature };
    appender.append(head);
    graph.output = vec![output(head.classes.len())];
    describe(&mut model, head).map_err(|error| ClassifierError::Describe(error.to_string()))?;
    Ok(model)
}

/// Appends operators to a graph.
struct Appender<'g> {
    graph: &'g mut pb::GraphProto,
    /// Name of the last operator's output.
    last: String,
}

impl Appender<'_> {
    fn append(&mut self, head: &LinearHead) {
        let dim = head.dim();
        self.node("Flatten", "flat", None, vec![int("axis", 1)]);
        self.node("Cast", "f32", None, vec![int("to", DataType::Float as i64)]);
        if let Some(corpus) = &head.corpus {
            // As on the device, a dimension that never varied is centred but not scaled.
            let std: Vec<f32> = corpus.std.iter().map(|&std| if std == 0.0 { 1.0 } else { std }).collect();
            self.with_constant("Sub", "centred", "mean", &[dim], &corpus.mean);
            self.with_constant("Div", "scaled", "std", &[dim], &std);
        }
        let scaled = self.last.clone();
        self.node("Mul", "squares", Some(&scaled), vec![]);
        self.with_constant("MatMul", "square", "ones", &[dim, 1], &vec![1.0; dim]);
        self.node("Sqrt", "length", None, vec![]);
        // A feature of zeros, which a device refuses, stays zero.
        self.with_constant("Max", "length_above_0", "least", &[1], &[f32::MIN_POSITIVE]);
        let length = std::mem::replace(&mut self.last, scaled);
        self.node("Div", "direction", Some(&length), vec![]);
        self.with_constant("Mul", "in_units", "unit", &[1], &[f32::from(UNIT)]);
        self.node("Round", "quantised", None, vec![]);
        let columns = (0..dim).flat_map(|d| head.weights.iter().map(move |row| row[d] as f32));
        self.with_constant("MatMul", "products", "weights", &[dim, head.classes.len()], &columns.collect::<Vec<_>>());
        let biases: Vec<f32> = head.biases.iter().map(|&bias| bias as f32).collect();
        self.with_constant("Add", "scores", "biases", &[biases.len()], &biases);
        self.node("Softmax", "", None, vec![int("axis", 1)]);
    }

    /// Appends `op` on the last value, and on `other` if there is one; its output is called `name`.
    fn node(&mut self, op: &str, name: &str, other: Option<&str>, attribute: Vec<pb::AttributeProto>) {
        let output = if name.is_empty() { PROBABILITIES.to_owned() } else { format!("{PREFIX}{name}") };
        let input = std::iter::once(self.last.clone()).chain(other.map(str::to_owned)).collect();
        let node = pb::NodeProto {
            input,
            output: vec![output.clone()],
            name: output.clone(),
            op_type: op.to_owned(),
            attribute,
            ..Default::default()
        };
        self.graph.node.push(node);
        self.last = output;
    }

    /// Appends `op` on the last value and a constant.
    fn with_constant(&mut self, op: &str, name: &str, constant: &str, dims: &[usize], values: &[f32]) {
        let constant = format!("{PREFIX}{constant}");
        self.graph.initializer.push(pb::TensorProto {
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type: DataType::Float as i32,
            name: constant.clone(),
            raw_data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            ..Default::default()
        });
        self.node(op, name, Some(&constant), vec![]);
    }
}

fn int(name: &str, value: i64) -> pb::AttributeProto {
    pb::AttributeProto {
        name: name.to_owned(),
        r#type: pb::attribute_proto::AttributeType::Int as i32,
        i: value,
        ..Default::default()
    }
}

/// `[N, C]`, `N` symbolic.
fn output(classes: usize) -> pb::ValueInfoProto {
    use pb::tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |value| Dimension { value: Some(value), ..Default::default() };
    let dim = vec![dimension(Value::DimParam("N".into())), dimension(Value::DimValue(classes as i64))];
    let shape = Some(pb::TensorShapeProto { dim });
    let tensor = pb::type_proto::Tensor { elem_type: DataType::Float as i32, shape };
    let value = Some(pb::type_proto::Value::TensorType(tensor));
    let r#type = Some(pb::TypeProto { value, ..Default::default() });
    pb::ValueInfoProto { name: PROBABILITIES.to_owned(), r#type, ..Default::default() }
}

fn describe(model: &mut pb::ModelProto, head: &LinearHead) -> Result<(), serde_json::Error> {
    let names: Vec<&str> = head.classes.iter().map(|class| class.name.as_str()).collect();
    let about = LinearHead { weights: Vec::new(), biases: Vec::new(), corpus: None, ..head.clone() };
    model.metadata_props.retain(|entry| entry.key != "macula.corpus");
    for (key, value) in [(CLASSES_KEY, serde_json::to_string(&names)?), (HEAD_KEY, serde_json::to_string(&about)?)] {
        model.metadata_props.push(pb::StringStringEntryProto { key: key.to_owned(), value });
    }
    model.doc_string = "Image classifier: an encoder and a head that a device learned. Resize and normalise images \
                        first, as macula.preprocessing says; macula.classes names the columns. It cannot abstain: \
                        prediction sets and out-of-distribution detection stay on the device."
        .to_owned();
    Ok(())
}

/// Widens every f16 of a graph to f32: weights, declared types, casts and constants.
fn widen(graph: &mut pb::GraphProto) -> Result<(), ClassifierError> {
    graph.initializer.iter_mut().try_for_each(widen_tensor)?;
    let values = graph.input.iter_mut().chain(&mut graph.output).chain(&mut graph.value_info);
    for value in values {
        let kind = value.r#type.as_mut().and_then(|declared| declared.value.as_mut());
        if let Some(pb::type_proto::Value::TensorType(tensor)) = kind
            && tensor.elem_type == DataType::Float16 as i32
        {
            tensor.elem_type = DataType::Float as i32;
        }
    }
    for node in &mut graph.node {
        for attribute in &mut node.attribute {
            if node.op_type == "Cast" && attribute.name == "to" && attribute.i == DataType::Float16 as i64 {
                attribute.i = DataType::Float as i64;
            }
            attribute.t.iter_mut().try_for_each(widen_tensor)?;
        }
    }
    Ok(())
}

fn widen_tensor(tensor: &mut pb::TensorProto) -> Result<(), ClassifierError> {
    if tensor.data_type != DataType::Float16 as i32 {
        return Ok(());
    }
    let unreadable = || ClassifierError::Tensor { name: tensor.name.clone() };
    let values = tensor.dims.iter().try_fold(1usize, |values, &dim| values.checked_mul(usize::try_from(dim).ok()?));
    // If there are no raw bytes, an i32 holds the bits of each value.
    let bits: Option<Vec<u16>> = match (tensor.raw_data.is_empty(), tensor.raw_data.as_chunks::<2>()) {
        (true, _) => tensor.int32_data.iter().map(|&bits| u16::try_from(bits).ok()).collect(),
        (false, (whole, [])) => Some(whole.iter().map(|&bytes| u16::from_le_bytes(bytes)).collect()),
        (false, _) => None,
    };
    let bits = bits.ok_or_else(unreadable)?;
    if values != Some(bits.len()) {
        return Err(unreadable());
    }
    tensor.raw_data = bits.iter().flat_map(|&bits| f16::from_bits(bits).to_f32().to_le_bytes()).collect();
    tensor.int32_data.clear();
    tensor.data_type = DataType::Float as i32;
    Ok(())
}
