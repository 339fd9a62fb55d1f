//! Int8 networks of any layers.

use macula_edge::encoder::Arithmetic;

use crate::blob::{Layer, Lcg, Net, Op};

/// A network of random layers: op, stride, value read, second value, channels.
pub fn network(shape: &[(Op, usize, usize, usize, usize)], input: [usize; 3], seed: u64) -> Net {
    let mut lcg = Lcg(seed);
    let mut net = Net { arithmetic: Arithmetic::Int8, input, layers: Vec::new(), readout: None, arena_words: 0 };
    for &(op, stride, read, right, channels) in shape {
        let k = match op {
            Op::Conv3x3 => 9 * net.shapes()[read][2],
            Op::Conv1x1 => net.shapes()[read][2],
            Op::Depthwise3x3 => 9,
            Op::Add => 0,
        };
        let (zero, filters) = (lcg.below(256), if op == Op::Add { 0 } else { channels });
        // -127 to 127. A sum is about 10000 times the square root of K.
        let weights = (0..filters).map(|_| (0..k).map(|_| (lcg.below(255) + 129) as u8 as u16).collect()).collect();
        let shift = 5 + k.max(1).ilog2() / 2;
        let mut parameter = || {
            let (bias, multiplier) = (lcg.below(20_000) as i32 - 10_000, (1 << 30) + lcg.below(1 << 30));
            vec![bias as u32, multiplier, (1 << (shift - 1)) + (zero << shift), shift]
        };
        let parameters = (0..filters).map(|_| parameter()).collect();
        let sum = if op == Op::Add { [50_000, -70_000, 1 << 21, 16] } else { [0; 4] };
        let place = net.arena_words;
        let zero = zero as u8;
        let layer =
            Layer { op, stride, activation: 0, zero, input: read, right, channels, place, weights, parameters, sum };
        net.layers.push(layer);
        let words = |shape: &[usize; 3]| shape.iter().product::<usize>().div_ceil(4) as u32;
        let shapes = net.shapes();
        net.arena_words += words(&shapes[shapes.len() - 1]);
    }
    // The input lies at word 0, before them.
    let first = input.iter().product::<usize>().div_ceil(4) as u32;
    net.layers.iter_mut().for_each(|layer| layer.place += first);
    net.arena_words += first + 9 * 256;
    net
}
