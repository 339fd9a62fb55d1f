//! The node table of a blob: reads nodes in place and checks shapes, parameters and places in the arena.

use bytemuck::try_cast_slice;

use super::error::BlobError;
use super::format::{
    ARENA_WORDS_MAX, Activation, Arithmetic, CHANNELS_MAX, CHECKSUM_LEN, HEADER_LEN, NODE_ACTIVATION_AT,
    NODE_CHANNELS_AT, NODE_INPUT_AT, NODE_LEN, NODE_OP_AT, NODE_OUTPUT_WORD_AT, NODE_PARAMETERS_AT, NODE_RIGHT_AT,
    NODE_STRIDE_AT, NODE_SUM_AT, NODE_WEIGHTS_AT, NODE_ZERO_AT, NODES_MAX, OpCode, SHIFT_MAX, u16_at, u32_at,
};
use super::node::{Node, Op, Requantise, Value};

/// A node table with the values that its nodes make.
#[derive(Clone)]
pub(super) struct Graph<'b> {
    /// The whole blob, which weights and parameters are offsets into.
    bytes: &'b [u8],
    nodes: &'b [[u8; NODE_LEN]],
    pub arithmetic: Arithmetic,
    /// Value 0 is the input, value `i + 1` the output of node `i`.
    pub values: [Value; NODES_MAX + 1],
    /// Words of scratch that the kernels need.
    pub kernel_words: usize,
    /// Words of the arena that values take. The scratch of the kernels lies behind them.
    pub values_words: usize,
}

impl<'b> Graph<'b> {
    /// Checks every node of the table `nodes`, a section of the blob `bytes`; [`Self::check_places`] must follow.
    ///
    /// * `input`: shape and place of value 0
    ///
    /// # Errors
    /// The first fault found.
    pub fn parse(bytes: &'b [u8], nodes: &'b [u8], arithmetic: Arithmetic, input: Value) -> Result<Self, BlobError> {
        let mut values = [Value::EMPTY; NODES_MAX + 1];
        values[0] = input;
        let mut graph =
            Self { bytes, nodes: nodes.as_chunks().0, arithmetic, values, kernel_words: 0, values_words: 0 };
        for index in 0..graph.node_count() {
            graph.values[index + 1] = graph.check_fields(index)?;
            let node = graph.node(index);
            graph.check_parameters(index, node.op)?;
            let words = scratch_words(arithmetic, node.op, graph.values[node.input].channels.into());
            graph.kernel_words = graph.kernel_words.max(words);
        }
        Ok(graph)
    }

    pub fn node_count(&self) -> usize {
        self.nodes.len()
    }

    /// Node `index`. The slices of a node that was not checked may be empty.
    pub fn node(&self, index: usize) -> Node<'b> {
        let entry = &self.nodes[index];
        let [input, right] = [NODE_INPUT_AT, NODE_RIGHT_AT].map(|at| usize::from(u16_at(entry, at)));
        let (channels, channels_in) = (u32_at(entry, NODE_CHANNELS_AT) as usize, self.values[input].channels.into());
        let stride = usize::from(entry[NODE_STRIDE_AT]);
        let (weight_len, parameter_len) = if self.arithmetic == Arithmetic::F16 { (2, 4) } else { (1, 16) };
        let content = |at, len| content_at(self.bytes, u32_at(entry, at) as usize, len).unwrap_or_default();
        // An empty slice of bytes may be misaligned.
        let parameters = || try_cast_slice(content(NODE_PARAMETERS_AT, parameter_len * channels)).unwrap_or_default();
        let conv = |kernel| {
            let len = channels * weights_per_channel(self.arithmetic, kernel, channels_in) * weight_len;
            Op::Conv { kernel, stride, weights: content(NODE_WEIGHTS_AT, len), parameters: parameters() }
        };
        let op = match entry[NODE_OP_AT] {
            op if op == OpCode::Conv3x3 as u8 => conv(3),
            op if op == OpCode::Conv1x1 as u8 => conv(1),
            op if op == OpCode::Depthwise3x3 as u8 => {
                let weights = content(NODE_WEIGHTS_AT, 9 * channels * weight_len);
                Op::Depthwise { stride, weights, parameters: parameters() }
            }
            _ => {
                let [left, other, offset, shift] = [0, 4, 8, 12].map(|field| u32_at(entry, NODE_SUM_AT + field) as i32);
                Op::Add { right, multipliers: [left, other], offset, shift }
            }
        };
        let activation = match entry[NODE_ACTIVATION_AT] {
            number if number == Activation::Identity as u8 => Activation::Identity,
            number if number == Activation::Relu as u8 => Activation::Relu,
            _ => Activation::Relu6,
        };
        Node { input, op, activation }
    }

    /// Checks the range of every field of a node. Returns the value that the node makes.
    fn check_fields(&self, node: usize) -> Result<Value, BlobError> {
        let entry = &self.nodes[node];
        let field = |what: &'static str, found: u64, least: u64, most: u64| match found {
            found if found < least => Err(BlobError::Node { node, what, found, limit: least }),
            found if found > most => Err(BlobError::Node { node, what, found, limit: most }),
            found => Ok(found as usize),
        };
        let byte = |at: usize| u64::from(entry[at]);
        let op = field("operation", byte(NODE_OP_AT), 1, OpCode::ALL.len() as u64)? as u8;
        field("activation", byte(NODE_ACTIVATION_AT), 0, Activation::Relu6 as u64)?;
        let input = field("value read", u16_at(entry, NODE_INPUT_AT).into(), 0, node as u64)?;
        let channels = field("channel count", u32_at(entry, NODE_CHANNELS_AT).into(), 1, CHANNELS_MAX as u64)?;
        let from = self.values[input];
        let offset_words = u32_at(entry, NODE_OUTPUT_WORD_AT);
        let zero = entry[NODE_ZERO_AT];
        let mut made = Value { channels: channels as u16, zero, offset_words: offset_words as usize, ..from };
        if op == OpCode::Add as u8 {
            // The input has a zero point per channel, which a sum does not handle.
            field("value read", input as u64, 1, node as u64)?;
            let right = field("other value read", u16_at(entry, NODE_RIGHT_AT).into(), 1, node as u64)?;
            let other = self.values[right];
            let size = |value: Value| (u64::from(value.height) << 32) | (u64::from(value.width) << 16);
            field("size of the other value", size(other), size(from), size(from))?;
            field("channel count", u64::from(other.channels), channels as u64, channels as u64)?;
            field("channel count", u64::from(from.channels), channels as u64, channels as u64)?;
        } else {
            let stride = field("stride", byte(NODE_STRIDE_AT), 1, 2)? as u16;
            // The kernels compute eight channels at a time.
            field("channel count modulo 8", channels as u64 % 8, 0, 0)?;
            (made.height, made.width) = (from.height.div_ceil(stride), from.width.div_ceil(stride));
        }
        // Checked in 64 bits, before a 32-bit processor multiplies or adds these numbers in a usize.
        let values = u64::from(made.height) * u64::from(made.width) * channels as u64;
        field("size of its output", values, 1, ARENA_WORDS_MAX as u64)?;
        field("place of its output", offset_words.into(), 0, ARENA_WORDS_MAX as u64)?;
        if op == OpCode::Depthwise3x3 as u8 {
            field("channel count", channels as u64, from.channels.into(), from.channels.into())?;
        }
        Ok(made)
    }

    /// Checks that weights and parameters lie in the blob and that no arithmetic on them overflows.
    fn check_parameters(&self, node: usize, op: Op<'_>) -> Result<(), BlobError> {
        let fault = |what, at: usize, limit| {
            Err(BlobError::Node { node, what, found: u32_at(&self.nodes[node], at).into(), limit })
        };
        let (blob_len, int8) = (self.bytes.len() as u64, self.arithmetic == Arithmetic::Int8);
        match op {
            Op::Conv { weights, parameters, .. } | Op::Depthwise { weights, parameters, .. } => {
                if weights.is_empty() {
                    return fault("place of the weights", NODE_WEIGHTS_AT, blob_len);
                }
                if parameters.is_empty() {
                    return fault("place of the parameters", NODE_PARAMETERS_AT, blob_len);
                }
                let (channels, _) = parameters.as_chunks::<4>();
                if int8 && !channels.iter().all(|words| Requantise::from_words(*words).is_sound()) {
                    return fault("requantisation", NODE_PARAMETERS_AT, 0);
                }
            }
            Op::Add { multipliers: [left, right], offset, shift, .. } if int8 => {
                let sum = 255 * (i64::from(left).abs() + i64::from(right).abs()) + i64::from(offset).abs();
                if sum > i64::from(i32::MAX) || !(1..=SHIFT_MAX).contains(&shift) {
                    return fault("requantisation of a sum", NODE_SUM_AT + 12, 0);
                }
            }
            Op::Add { .. } => {}
        }
        Ok(())
    }

    /// Checks that values lie in the arena and that none overwrites a value that is read later. A sum may replace a
    /// summand that is not read after it.
    ///
    /// * `scratch`: words of the arena behind the values
    ///
    /// # Errors
    /// The first fault found.
    pub fn check_places(&mut self, scratch: usize, arena_words: usize) -> Result<(), BlobError> {
        let nodes = self.node_count();
        let mut last_reader = [0; NODES_MAX + 1];
        last_reader[nodes] = nodes;
        for index in 0..nodes {
            let node = self.node(index);
            last_reader[node.input] = index;
            if let Op::Add { right, .. } = node.op {
                last_reader[right] = index;
            }
        }
        let needed = |words: usize| {
            let (found, limit) = (arena_words as u64, (words + scratch) as u64);
            BlobError::Header { what: "arena", found, limit }
        };
        let room = arena_words.checked_sub(scratch).ok_or(needed(0))?;
        for made in 0..=nodes {
            let range = self.values[made].range(self.arithmetic);
            if range.end > room {
                return Err(needed(range.end));
            }
            let node = made.wrapping_sub(1);
            let sum = made > 0 && matches!(self.node(node).op, Op::Add { .. });
            for (value, &last) in last_reader.iter().enumerate().take(made) {
                let other = self.values[value].range(self.arithmetic);
                let apart = other.end <= range.start || range.end <= other.start;
                let replaced = sum && last == node && other == range;
                if last >= node && !apart && !replaced {
                    return Err(BlobError::Overlap { node, value });
                }
            }
        }
        self.values_words = room;
        Ok(())
    }
}

/// `len` bytes at `offset`, a multiple of 4, if they lie between header and checksum.
pub(super) fn content_at(bytes: &[u8], offset: usize, len: usize) -> Option<&[u8]> {
    let end = offset.checked_add(len)?;
    let inside = offset.is_multiple_of(4) && offset >= HEADER_LEN && end <= bytes.len() - CHECKSUM_LEN;
    if inside { bytes.get(offset..end) } else { None }
}

/// Weights per output channel, including padding.
pub(super) fn weights_per_channel(arithmetic: Arithmetic, kernel: usize, channels_in: usize) -> usize {
    let weights = kernel * kernel * channels_in;
    match arithmetic {
        Arithmetic::F16 => weights,
        Arithmetic::Int8 => weights.next_multiple_of(4),
    }
}

/// Scratch of a node, in words.
fn scratch_words(arithmetic: Arithmetic, op: Op<'_>, channels_in: usize) -> usize {
    match (arithmetic, op) {
        // Two patches of K i16.
        (Arithmetic::Int8, Op::Conv { kernel, .. }) => weights_per_channel(arithmetic, kernel, channels_in),
        // The weights of eight channels as f32.
        (Arithmetic::F16, Op::Conv { kernel, .. }) => 8 * weights_per_channel(arithmetic, kernel, channels_in),
        (Arithmetic::F16, Op::Depthwise { .. }) => 9 * channels_in,
        (_, Op::Add { .. } | Op::Depthwise { .. }) => 0,
    }
}
