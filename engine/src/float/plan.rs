//! Plans a graph: which step computes what by which kernel, with its weights packed, and where values lie.

use super::conv::{Conv, Finish};
use super::depthwise::Depthwise;
use super::graph::{Activation, Graph, GraphError, Kernel, Node, Pooled, Shape};
use super::plane::Plane;
use super::vector::Vector;
use super::winograd::Winograd;
use crate::lifetimes::place;

/// What computes a value.
#[derive(Clone, Debug)]
pub(super) enum Op<E> {
    Conv(Conv<E>),
    Winograd(Winograd<E>),
    Depthwise(Depthwise<E>),
    /// Adds the residual to the value read.
    Add,
}

/// Computes one value.
#[derive(Clone, Debug)]
pub(super) struct Step<E> {
    pub op: Op<E>,
    pub from: Plane,
    pub to: Plane,
    pub finish: Finish,
    /// Whether a kernel reads the border of the value.
    pub needs_border: bool,
    /// How the value is pooled, and its channels.
    pub pooled: Option<(Pooled, usize)>,
}

/// A planned graph.
#[derive(Clone, Debug)]
pub(super) struct Plan<E> {
    pub input: Plane,
    /// `[C, 256]`: the element of each pixel value.
    pub elements: Vec<E>,
    pub steps: Vec<Step<E>>,
    /// Elements of the arena.
    pub arena_len: usize,
    /// Where the scratch of the kernels begins.
    pub scratch: usize,
    /// P.
    pub pooled_len: usize,
    /// Added to a variance before its root.
    pub std_epsilon: f32,
}

/// A sum that is computed by the convolution that makes one of its summands.
#[derive(Clone, Copy)]
struct Fused {
    /// Value of the sum.
    value: usize,
    /// The other summand.
    residual: usize,
    activation: Activation,
}

impl<E: bytemuck::Pod> Plan<E> {
    /// # Errors
    /// When the graph is not valid.
    pub fn new<V: Vector<Element = E>>(graph: &Graph) -> Result<Self, GraphError> {
        let shapes = graph.shapes()?;
        let fused = fused(graph);
        // The step that makes each value; a sum is made by the convolution that it is fused into.
        let is_fused = |value: usize| fused.iter().flatten().any(|sum| sum.value == value);
        let made: Vec<usize> = (0..graph.nodes.len()).filter(|&node| !is_fused(node + 1)).collect();
        let output = |node: usize| fused[node].map_or(node + 1, |sum| sum.value);
        let planes = planes::<V>(graph, &shapes, &made, &fused);
        let mut scratch_len = 0;
        let steps: Vec<Step<E>> = made
            .iter()
            .map(|&node| {
                let (input, value) = (graph.nodes[node].inputs()[0], output(node));
                let (from, to) = (planes.0[input], planes.0[value]);
                let op = op::<V>(&graph.nodes[node], shapes[input].channels, from, to);
                if let Op::Winograd(conv) = &op {
                    scratch_len = scratch_len.max(conv.scratch_len(to));
                }
                let pooled = graph.pooled.iter().find(|pooled| pooled.value == value);
                let pooled = pooled.map(|&pooled| (pooled, shapes[value].channels));
                let finish = finish(&graph.nodes[node], fused[node], &planes.0);
                Step { op, from, to, finish, needs_border: needs_border(graph, value), pooled }
            })
            .collect();
        let numbers = |(pooled, channels): (Pooled, usize)| pooled.numbers(channels);
        let pooled_len = steps.iter().filter_map(|step| step.pooled).map(numbers).sum();
        Ok(Self {
            input: planes.0[0],
            elements: graph.pixel_values.as_flattened().iter().map(|&value| V::element(value)).collect(),
            steps,
            arena_len: planes.1 + scratch_len,
            scratch: planes.1,
            pooled_len,
            std_epsilon: graph.std_epsilon,
        })
    }
}

/// For each node that is a convolution without activation whose only reader is a sum: the sum, if no summand is made later.
fn fused(graph: &Graph) -> Vec<Option<Fused>> {
    let readers = |value: usize| graph.nodes.iter().flat_map(Node::inputs).filter(|&read| read == value).count();
    let can_end_in_a_sum = |value: usize| {
        let conv = value.checked_sub(1).map(|node| &graph.nodes[node]);
        let is_conv = matches!(conv, Some(Node::Conv { activation: Activation::Identity, kernel, .. })
            if *kernel != Kernel::Depthwise3x3);
        is_conv && readers(value) == 1 && graph.pooled.iter().all(|pooled| pooled.value != value)
    };
    let mut fused = vec![None; graph.nodes.len()];
    for (node, each) in graph.nodes.iter().enumerate() {
        if let Node::Add { left, right, activation } = *each
            && can_end_in_a_sum(left.max(right))
            && left != right
        {
            let (later, residual) = (left.max(right), left.min(right));
            fused[later - 1] = Some(Fused { value: node + 1, residual, activation });
        }
    }
    fused
}

/// The plane of each value, and the elements that all take.
fn planes<V: Vector>(graph: &Graph, shapes: &[Shape], made: &[usize], fused: &[Option<Fused>]) -> (Vec<Plane>, usize) {
    // Step 0 makes the input; a value that is not read lives until it is pooled.
    let mut lives: Vec<Option<(usize, usize)>> = vec![None; shapes.len()];
    lives[0] = Some((0, 0));
    for (step, &node) in made.iter().enumerate() {
        let residual = fused[node].map(|sum| sum.residual);
        for value in graph.nodes[node].inputs().into_iter().chain(residual) {
            lives[value] = lives[value].map(|(start, _)| (start, step + 1));
        }
        lives[fused[node].map_or(node + 1, |sum| sum.value)] = Some((step + 1, step + 1));
    }
    let plane = |value: usize, offset| {
        let Shape { height, width, channels } = shapes[value];
        // Kernels read the pixels of the input as they are.
        let channels = if value == 0 { channels } else { channels.next_multiple_of(V::LANES) };
        Plane { height, width, channels, offset }
    };
    let values: Vec<usize> = (0..shapes.len()).filter(|&value| lives[value].is_some()).collect();
    let needs: Vec<_> = values
        .iter()
        .map(|&value| {
            let (start, end) = lives[value].unwrap_or_default();
            (plane(value, 0).len(V::GROUP), start..=end)
        })
        .collect();
    let (offsets, len) = place(&needs, V::LANES);
    let mut planes: Vec<Plane> = (0..shapes.len()).map(|value| plane(value, 0)).collect();
    values.iter().zip(offsets).for_each(|(&value, offset)| planes[value].offset = offset);
    (planes, len.next_multiple_of(V::LANES))
}

/// Whether a 3×3 kernel reads `value`.
fn needs_border(graph: &Graph, value: usize) -> bool {
    let reads = |node: &Node| matches!(node, Node::Conv { input, kernel, .. } if *input == value && kernel.side() == 3);
    graph.nodes.iter().any(reads)
}

fn finish(node: &Node, fused: Option<Fused>, planes: &[Plane]) -> Finish {
    match (node, fused) {
        (_, Some(sum)) => Finish { residual: Some(planes[sum.residual]), activation: sum.activation },
        (Node::Conv { activation, .. }, None) => Finish { residual: None, activation: *activation },
        (Node::Add { right, activation, .. }, None) => {
            Finish { residual: Some(planes[*right]), activation: *activation }
        }
    }
}

/// * `inputs`: C
fn op<V: Vector>(node: &Node, inputs: usize, from: Plane, to: Plane) -> Op<V::Element> {
    let Node::Conv { kernel, stride, weight, bias, .. } = node else { return Op::Add };
    match kernel {
        Kernel::Depthwise3x3 => Op::Depthwise(Depthwise::pack::<V>(weight, bias, *stride, to.channels)),
        // A plane whose channels are not whole vectors is that of the input.
        Kernel::Full3x3 if *stride == 1 && from.channels.is_multiple_of(V::LANES) && winograd_pays::<V>(from, to) => {
            Op::Winograd(Winograd::pack::<V>(weight, bias, [inputs, from.channels], to.channels))
        }
        _ => {
            let sides = [kernel.side(), *stride];
            Op::Conv(Conv::pack::<V>(weight, bias, sides, [inputs, from.channels], to.channels))
        }
    }
}

/// Whether Winograd takes fewer vector instructions. A tile takes 36 products of vectors for each input channel, about 250
/// instructions for each vector of input channels and 210 for each of output channels; a direct convolution takes 9 products
/// for each input channel and pixel.
fn winograd_pays<V: Vector>(from: Plane, to: Plane) -> bool {
    let [inputs, outputs] = [from.channels, to.channels].map(|channels| channels / V::LANES);
    let tiles = to.height.div_ceil(4) * to.width.div_ceil(4);
    let winograd = tiles * (36 * from.channels * outputs + 250 * inputs + 210 * outputs);
    winograd < to.height * to.width * 9 * from.channels * outputs
}
