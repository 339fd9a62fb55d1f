//! Admission of a foreign graph, decided before any of it runs.
//!
//! Each node is looked up in the table of operators (`table`). The operator's rule checks attributes and operands and infers
//! the shape of its result. All shapes, and the integers that shapes are made of, are known because the size of an image is
//! known. A node that no rule admits is refused by name. Memory and operations are summed and checked against the limits.
//! tract then gets a copy with only the admitted parts, under new names.

mod call;
mod elementwise;
mod fact;
mod layout;
mod matrix;
mod normalise;
mod shapes;
mod table;
mod window;

use std::collections::HashMap;

use call::{Call, Made};
pub(super) use fact::{Element, Fact};
use fact::{Reason, of_tensor};
use table::Operator;

use super::error::RuntimeError;
use super::limits::{MEMORY_BYTES_MAX, NAME_BYTES_MAX, NODES_MAX, OPERANDS_MAX, OPERATIONS_MAX, TENSORS_MAX, at_most};
use super::model_file::pb;

/// A graph that may run, and the facts about it.
pub(super) struct Admitted {
    /// The graph under new names, without anything that running it does not need.
    pub(super) model: pb::ModelProto,
    /// The facts about each value, by its name in [`Self::model`].
    pub(super) facts: HashMap<String, Fact>,
    /// Names of the outputs in [`Self::model`], in order.
    pub(super) outputs: Vec<String>,
}

/// Admits `model` with `inputs`, pairs of name and facts.
///
/// # Errors
/// The first node or tensor that is refused, or the first limit that is exceeded.
pub(super) fn admit(model: pb::ModelProto, inputs: &[(String, Fact)], path: &str) -> Result<Admitted, RuntimeError> {
    let malformed = |message: String| RuntimeError::Malformed { path: path.to_owned(), message };
    let opset = operator_set(&model).map_err(malformed)?;
    let graph = model.graph.ok_or_else(|| malformed("the file has no graph".into()))?;
    let constants = graph.node.iter().filter(|node| node.op_type == "Constant").count();
    at_most(path, "operators", (graph.node.len() - constants) as u64, NODES_MAX)?;
    at_most(path, "tensors", (graph.initializer.len() + constants) as u64, TENSORS_MAX)?;
    if !graph.sparse_initializer.is_empty() {
        return Err(malformed("sparse weights are not supported".into()));
    }
    let mut walk = Walk { path, opset, values: Values::default(), budget: Budget::default(), nodes: Vec::new() };
    let inputs = walk.take_inputs(inputs)?;
    let initializer = walk.take_weights(graph.initializer)?;
    walk.values.find_last_uses(&graph.node, &graph.output);
    for (index, node) in graph.node.into_iter().enumerate() {
        walk.take_node(node, index)?;
    }
    let output = graph.output.iter().map(|output| {
        let value = walk.values.get(&output.name);
        value
            .ok_or_else(|| malformed(format!("no node computes the output '{}'", output.name)))
            .map(|value| value.0.clone())
    });
    let outputs = output.collect::<Result<Vec<_>, _>>()?;
    let graph = pb::GraphProto {
        node: walk.nodes,
        initializer,
        input: inputs.iter().map(|name| walk.values.declared(name)).collect(),
        output: outputs.iter().map(|name| pb::ValueInfoProto { name: name.clone(), ..Default::default() }).collect(),
        ..Default::default()
    };
    let opset_import = vec![pb::OperatorSetIdProto { domain: String::new(), version: opset }];
    let model = pb::ModelProto { ir_version: 8, opset_import, graph: Some(graph), ..Default::default() };
    Ok(Admitted { model, facts: walk.values.facts, outputs })
}

/// The version of the ONNX operator set of `model`.
fn operator_set(model: &pb::ModelProto) -> Result<i64, Reason> {
    if !model.functions.is_empty() {
        return Err("functions in the model are not supported".into());
    }
    let own = |set: &&pb::OperatorSetIdProto| is_onnx(&set.domain);
    let mut versions = model.opset_import.iter().filter(own).map(|set| set.version);
    let version = versions.next().ok_or("no version of the ONNX operator set")?;
    if versions.any(|other| other != version) {
        return Err("two versions of the ONNX operator set".into());
    }
    let range = table::OLDEST..=table::NEWEST;
    if range.contains(&version) {
        return Ok(version);
    }
    Err(format!("operator set is {version}; {} to {} are supported", table::OLDEST, table::NEWEST))
}

fn is_onnx(domain: &str) -> bool {
    domain.is_empty() || domain == "ai.onnx"
}

/// New names of values by their names in the file, and their facts.
#[derive(Default)]
struct Values {
    names: HashMap<String, String>,
    facts: HashMap<String, Fact>,
    /// The last node that uses a value.
    last_uses: HashMap<String, usize>,
}

impl Values {
    fn get(&self, name: &str) -> Option<(&String, &Fact)> {
        let own = self.names.get(name)?;
        Some((own, self.facts.get(own)?))
    }

    /// Gives a value its new name.
    fn add(&mut self, name: &str, fact: Fact) -> Result<String, Reason> {
        let own = format!("v{}", self.names.len());
        if name.len() as u64 > NAME_BYTES_MAX {
            return Err(format!("the name of a value has {} bytes; at most {NAME_BYTES_MAX} are allowed", name.len()));
        }
        if self.names.insert(name.to_owned(), own.clone()).is_some() {
            return Err(format!("two nodes compute the value '{name}'"));
        }
        self.facts.insert(own.clone(), fact);
        Ok(own)
    }

    fn find_last_uses(&mut self, nodes: &[pb::NodeProto], outputs: &[pb::ValueInfoProto]) {
        for (index, node) in nodes.iter().enumerate() {
            for name in &node.input {
                self.last_uses.insert(name.clone(), index);
            }
        }
        for output in outputs {
            self.last_uses.insert(output.name.clone(), usize::MAX);
        }
    }

    /// The declaration of an input under its new name.
    fn declared(&self, own: &str) -> pb::ValueInfoProto {
        use pb::tensor_shape_proto::{Dimension, dimension::Value};
        let tensor = self.facts.get(own).map(|fact| {
            let dim = fact.dims.iter();
            let dim = dim.map(|&size| Dimension { value: Some(Value::DimValue(size as i64)), ..Default::default() });
            let shape = Some(pb::TensorShapeProto { dim: dim.collect() });
            pb::type_proto::Value::TensorType(pb::type_proto::Tensor { elem_type: fact.element.onnx(), shape })
        });
        let r#type = Some(pb::TypeProto { value: tensor, ..Default::default() });
        pb::ValueInfoProto { name: own.to_owned(), r#type, ..Default::default() }
    }
}

/// The cost of an image, summed over the nodes.
#[derive(Default)]
struct Budget {
    /// Bytes of weights and of values computed only from weights, which are never freed.
    constants: u64,
    /// Bytes of values that depend on the image and are still needed.
    live: u64,
    operations: u64,
}

struct Walk<'p> {
    path: &'p str,
    opset: i64,
    values: Values,
    budget: Budget,
    nodes: Vec<pb::NodeProto>,
}

impl Walk<'_> {
    fn malformed(&self, message: String) -> RuntimeError {
        RuntimeError::Malformed { path: self.path.to_owned(), message }
    }

    fn take_inputs(&mut self, inputs: &[(String, Fact)]) -> Result<Vec<String>, RuntimeError> {
        let mut names = Vec::with_capacity(inputs.len());
        for (name, fact) in inputs {
            let taken = fact.check().and_then(|()| self.values.add(name, fact.clone()));
            names.push(taken.map_err(|reason| self.malformed(format!("input '{}': {reason}", shown(name))))?);
            self.budget.live += fact.bytes();
        }
        Ok(names)
    }

    fn take_weights(&mut self, tensors: Vec<pb::TensorProto>) -> Result<Vec<pb::TensorProto>, RuntimeError> {
        let mut taken = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let named = |reason: Reason| format!("weights '{}': {reason}", shown(&tensor.name));
            let fact = of_tensor(&tensor).and_then(|fact| fact.check().map(|()| fact));
            let fact = fact.map_err(|reason| self.malformed(named(reason)))?;
            self.budget.constants = self.budget.constants.saturating_add(fact.bytes());
            self.check_memory(0)?;
            let name = self.values.add(&tensor.name, fact).map_err(|reason| self.malformed(named(reason)))?;
            taken.push(pb::TensorProto { name, doc_string: String::new(), ..tensor });
        }
        Ok(taken)
    }

    fn take_node(&mut self, node: pb::NodeProto, index: usize) -> Result<(), RuntimeError> {
        let made = self.apply(&node);
        let made = made.and_then(|made| made.facts.iter().try_for_each(Fact::check).map(|()| made));
        let refused = |reason| refusal(self.path, &node, reason);
        let Made { facts, operations, scratch } = made.map_err(refused)?;
        self.budget.operations = self.budget.operations.saturating_add(operations);
        at_most(self.path, "operations for one image", self.budget.operations, OPERATIONS_MAX)?;
        let mut outputs = Vec::with_capacity(facts.len());
        for (name, fact) in node.output.iter().zip(facts) {
            let total = if fact.is_constant { &mut self.budget.constants } else { &mut self.budget.live };
            *total = total.saturating_add(fact.bytes());
            let added = self.values.add(name, fact);
            outputs.push(added.map_err(|reason| refusal(self.path, &node, reason))?);
        }
        self.check_memory(scratch)?;
        let own = |name: &String| self.values.names.get(name).cloned().unwrap_or_default();
        let input = node.input.iter().map(own).collect();
        self.release(&node, index);
        let attribute = node.attribute.into_iter();
        let attribute = attribute.map(|one| pb::AttributeProto { doc_string: String::new(), ..one }).collect();
        let (name, op_type) = (format!("n{index}"), node.op_type);
        self.nodes.push(pb::NodeProto { input, output: outputs, name, op_type, attribute, ..Default::default() });
        Ok(())
    }

    /// Looks up the operator and applies its rule.
    fn apply(&self, node: &pb::NodeProto) -> Result<Made, Reason> {
        if !is_onnx(&node.domain) {
            return Err("only operators of ONNX are supported".into());
        }
        let operator = table::find(&node.op_type, self.opset)?;
        check_form(node, operator)?;
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            let fact = match name.as_str() {
                "" => None,
                name => {
                    Some(self.values.get(name).ok_or_else(|| format!("no earlier node computes '{}'", shown(name)))?.1)
                }
            };
            inputs.push(fact);
        }
        if inputs.len() < operator.inputs.0 || inputs[..operator.inputs.0].contains(&None) {
            return Err(format!("{} inputs; expected at least {}", inputs.len(), operator.inputs.0));
        }
        if let Some(Some(first)) = inputs.first()
            && !operator.elements.contains(&first.element)
        {
            return Err(format!("supported for {:?}, not for {:?}", operator.elements, first.element));
        }
        let is_constant = inputs.iter().flatten().all(|fact| fact.is_constant);
        let mut made = (operator.rule)(&Call { node, opset: self.opset, inputs })?;
        if made.facts.len() != node.output.len() {
            return Err(format!("{} outputs; the operator has {}", node.output.len(), made.facts.len()));
        }
        // A shape is constant, also that of a value that depends on the image.
        made.facts.iter_mut().for_each(|fact| fact.is_constant = is_constant || fact.integers.is_some());
        Ok(made)
    }

    /// Frees the values that no later node needs.
    fn release(&mut self, node: &pb::NodeProto, index: usize) {
        let mut names: Vec<&String> = node.input.iter().chain(&node.output).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            if self.values.last_uses.get(name).is_none_or(|&last| last <= index)
                && let Some((_, fact)) = self.values.get(name)
                && !fact.is_constant
            {
                self.budget.live = self.budget.live.saturating_sub(fact.bytes());
            }
        }
    }

    fn check_memory(&self, scratch: u64) -> Result<(), RuntimeError> {
        let bytes = self.budget.constants.saturating_add(self.budget.live).saturating_add(scratch);
        at_most(self.path, "bytes of memory for one image", bytes, MEMORY_BYTES_MAX)
    }
}

/// Checks the number of operands, and that every attribute is known and has one value.
fn check_form(node: &pb::NodeProto, operator: &Operator) -> Result<(), Reason> {
    let (inputs, outputs) = (node.input.len(), node.output.len());
    if inputs > operator.inputs.1 || inputs as u64 > OPERANDS_MAX {
        return Err(format!("{inputs} inputs; at most {} are supported", operator.inputs.1));
    }
    if !(1..=operator.outputs).contains(&outputs) || node.output.iter().any(String::is_empty) {
        return Err(format!("{outputs} used outputs; expected 1 to {}", operator.outputs));
    }
    for (index, attribute) in node.attribute.iter().enumerate() {
        let name = attribute.name.as_str();
        if !operator.attributes.contains(&name) {
            return Err(format!("unknown attribute '{}'", shown(name)));
        }
        if node.attribute[..index].iter().any(|other| other.name == name) || !attribute.ref_attr_name.is_empty() {
            return Err(format!("attribute '{name}' does not have exactly one value"));
        }
        if let Some(tensor) = &attribute.t {
            of_tensor(tensor).map_err(|reason| format!("attribute '{name}': {reason}"))?;
        }
    }
    Ok(())
}

fn refusal(path: &str, node: &pb::NodeProto, reason: Reason) -> RuntimeError {
    let name = if node.name.is_empty() { node.output.first().map_or("", String::as_str) } else { &node.name };
    let op = if is_onnx(&node.domain) { node.op_type.clone() } else { format!("{}.{}", node.domain, node.op_type) };
    RuntimeError::Unsupported { path: path.to_owned(), node: shown(name), op: shown(&op), message: reason }
}

/// A name from the file, shortened and without control characters, for messages.
fn shown(name: &str) -> String {
    let mut text: String = name.chars().take(80).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.len() < name.len() {
        text.push('…');
    }
    text
}
