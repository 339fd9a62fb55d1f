//! Memory plan of the device: an offset in the arena for every value, without overlap of values alive together.
//!
//! Value 0 is the input, node `i` computes value `i + 1`. A value is alive from its node to its last reader, the last value
//! until it is pooled; the others are pooled as soon as they are computed, which changes nothing. A sum reuses the memory
//! of a summand of which it is the last reader.

use macula_edge::encoder::Arithmetic;

use crate::encoder::{ConvKind, EncoderSpec, Node, SpecError, ValueId};

/// A plan of the arena.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arena {
    /// First word (4 bytes) of each value.
    pub offsets: Vec<usize>,
    /// Words of the values.
    pub values_words: usize,
    /// Words behind the values: the scratch of the kernels and the pooled values.
    pub scratch_words: usize,
    /// The node at which most words of values are alive.
    pub peak_node: String,
    /// Words alive there: a lower bound for any plan.
    pub peak_words: usize,
}

impl Arena {
    /// Words of the whole arena.
    pub fn words(&self) -> usize {
        self.values_words + self.scratch_words
    }
}

/// Memory shared by values one after another.
struct Block {
    words: usize,
    /// First and last step at which it is needed; node `i` runs at step `i + 1`.
    from: usize,
    to: usize,
}

/// Plans the arena for `spec`: places blocks by size or in execution order, each at the lowest free offset, and takes the
/// better plan.
///
/// # Errors
/// An invalid spec.
pub fn plan(spec: &EncoderSpec, arithmetic: Arithmetic) -> Result<Arena, SpecError> {
    let words: Vec<usize> = spec
        .shapes()?
        .iter()
        .map(|shape| match arithmetic {
            Arithmetic::F16 => shape.len(),
            Arithmetic::Int8 => shape.len().div_ceil(4),
        })
        .collect();
    let (block_of, blocks) = blocks(spec, &words);
    let mut by_size: Vec<usize> = (0..blocks.len()).collect();
    let in_order = by_size.clone();
    by_size.sort_by_key(|&block| std::cmp::Reverse(blocks[block].words));
    let (places, values_words) = [place(&blocks, &by_size), place(&blocks, &in_order)]
        .into_iter()
        .min_by_key(|(_, words)| *words)
        .unwrap_or_default();
    let alive = |step: usize| -> usize {
        blocks.iter().filter(|block| (block.from..=block.to).contains(&step)).map(|block| block.words).sum()
    };
    // `max_by_key` returns the last of equals; reversed, the first.
    let peak = (0..spec.nodes.len()).rev().max_by_key(|node| alive(node + 1)).unwrap_or(0);
    Ok(Arena {
        offsets: block_of.iter().map(|&block| places[block]).collect(),
        values_words,
        scratch_words: scratch_words(spec, arithmetic),
        peak_node: spec.node_name(peak),
        peak_words: alive(peak + 1),
    })
}

/// The index of each value's block, and the blocks.
fn blocks(spec: &EncoderSpec, words: &[usize]) -> (Vec<usize>, Vec<Block>) {
    let last_step = |value: ValueId| match value == spec.nodes.len() {
        true => value + 1,
        false => spec.nodes.iter().rposition(|node| node.inputs().contains(&value)).map_or(value, |node| node + 1),
    };
    let mut blocks = vec![Block { words: words[0], from: 0, to: last_step(0) }];
    let mut block_of = vec![0];
    for (index, node) in spec.nodes.iter().enumerate() {
        let (value, step) = (index + 1, index + 1);
        let reused = match node {
            Node::Conv { .. } => None,
            Node::Add { left, right, .. } => [*left, *right].into_iter().find(|&v| v > 0 && last_step(v) == step),
        };
        let block = reused.map_or(blocks.len(), |summand| block_of[summand]);
        match blocks.get_mut(block) {
            Some(block) => block.to = last_step(value),
            None => blocks.push(Block { words: words[value], from: step, to: last_step(value) }),
        }
        block_of.push(block);
    }
    (block_of, blocks)
}

/// Places blocks in `order`, each at the lowest offset clear of those alive with it; returns offsets and total words.
fn place(blocks: &[Block], order: &[usize]) -> (Vec<usize>, usize) {
    let mut places = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut end = 0;
    for &index in order {
        let block = &blocks[index];
        let mut others: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| blocks[other].from <= block.to && block.from <= blocks[other].to)
            .map(|&other| (places[other], places[other] + blocks[other].words))
            .collect();
        others.sort_unstable();
        let mut at = 0;
        for (from, to) in others {
            if at + block.words <= from {
                break;
            }
            at = at.max(to);
        }
        places[index] = at;
        end = end.max(at + block.words);
        placed.push(index);
    }
    (places, end)
}

/// Words behind the values, as the device's parser counts them: the scratch of the kernels, and the pooled values behind it.
/// The mean of the last value alone is computed after the last kernel, in its scratch.
fn scratch_words(spec: &EncoderSpec, arithmetic: Arithmetic) -> usize {
    let of_node = |node: &Node| match node {
        Node::Conv { conv, .. } => match (arithmetic, conv.kind) {
            (Arithmetic::F16, ConvKind::Depthwise3x3) => 9 * conv.channels_in,
            (Arithmetic::F16, _) => 8 * conv.kernel() * conv.kernel() * conv.channels_in,
            (Arithmetic::Int8, ConvKind::Depthwise3x3) => 0,
            (Arithmetic::Int8, _) => (conv.kernel() * conv.kernel() * conv.channels_in).next_multiple_of(4),
        },
        Node::Add { .. } => 0,
    };
    let kernels = spec.nodes.iter().map(of_node).max().unwrap_or(0);
    if spec.readout.is_mean() { kernels.max(spec.feature_dim()) } else { kernels + spec.pooled_len() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::{InputShape, Preset};

    fn spec(preset: Preset, channels: usize, side: usize) -> EncoderSpec {
        EncoderSpec::preset(preset, InputShape { channels, height: side, width: side }).unwrap()
    }

    /// Replays the network on a map of each word's owner: every value is intact when it is read.
    #[test]
    fn no_value_is_overwritten_before_its_last_read() {
        for (preset, channels, side) in
            [(Preset::Pico, 1, 28), (Preset::Nano, 3, 32), (Preset::Micro, 3, 32), (Preset::Mobile, 3, 64)]
        {
            let spec = spec(preset, channels, side);
            let shapes = spec.shapes().unwrap();
            let arena = plan(&spec, Arithmetic::F16).unwrap();
            let range = |value: usize| arena.offsets[value]..arena.offsets[value] + shapes[value].len();
            let mut owner = vec![usize::MAX; arena.values_words];
            owner[range(0)].fill(0);
            for (index, node) in spec.nodes.iter().enumerate() {
                for value in node.inputs() {
                    assert!(owner[range(value)].iter().all(|&o| o == value), "{preset:?}: node {index}, value {value}");
                }
                owner[range(index + 1)].fill(index + 1);
                // A convolution reads its input until its output is complete.
                if let Node::Conv { input, .. } = node {
                    assert!(owner[range(*input)].iter().all(|&o| o == *input), "{preset:?}: node {index}");
                }
            }
            assert!(arena.values_words >= arena.peak_words);
        }
    }

    /// By hand, nano at 3×32×32 in int8: a map of 16 channels has 16,384 bytes. The first block holds three: its input and
    /// the outputs of both convolutions; the sum reuses one of them.
    #[test]
    fn nano_needs_three_maps_at_its_peak() {
        let arena = plan(&spec(Preset::Nano, 3, 32), Arithmetic::Int8).unwrap();
        assert_eq!((arena.peak_words * 4, arena.values_words * 4), (3 * 16_384, 3 * 16_384));
        assert_eq!(arena.scratch_words, 9 * 64, "one patch pair of 3×3×64 in i16");
        assert_eq!(arena.peak_node, "blocks.0.conv2");
    }
}
