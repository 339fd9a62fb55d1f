//! Small encoders with random weights, as a blob and as plain layers for a slow reference.

use macula_edge::encoder::Arithmetic;
pub use macula_edge::encoder::format::OpCode as Op;
use macula_edge::encoder::format::{
    ARENA_WORDS_AT, ARITHMETIC_AT, CHANNELS_AT, CHECKSUM_LEN, DIM_AT, FEATURE_SCALE_AT, HEADER_LEN, HEIGHT_AT,
    IDENTITY_AT, IDENTITY_LEN, LEN_AT, MAGIC, NODE_COUNT_AT, PART_CELLS, PART_MEAN, PART_STD, SectionKind, VERSION_AT,
    VERSION_MEAN, VERSION_READOUT, WIDTH_AT,
};

/// One layer with numbers as stored: int8 weights or f16 bits.
pub struct Layer {
    pub op: Op,
    pub stride: usize,
    pub activation: u8,
    pub zero: u8,
    pub input: usize,
    pub right: usize,
    pub channels: usize,
    /// First word in the arena.
    pub place: u32,
    /// `[O][K]`, `k` over rows, columns, channels.
    pub weights: Vec<Vec<u16>>,
    /// int8: bias, multiplier, offset, shift of each channel; f16: bits of the bias.
    pub parameters: Vec<Vec<u32>>,
    /// int8 sum: multipliers, offset, shift.
    pub sum: [i32; 4],
}

/// What is pooled, and a linear map.
#[derive(Default)]
pub struct Readout {
    /// Index, parts and unit of each value.
    pub values: Vec<(usize, u16, f32)>,
    pub eps: f32,
    /// Scale, bias and weights (f16 bits) of each dimension of the feature.
    pub map: Vec<(f32, f32, Vec<u16>)>,
}

pub struct Net {
    pub arithmetic: Arithmetic,
    /// Rows, columns, channels.
    pub input: [usize; 3],
    pub layers: Vec<Layer>,
    /// Without it the feature is the mean of the last value.
    pub readout: Option<Readout>,
    pub arena_words: u32,
}

pub struct Lcg(pub u64);

impl Lcg {
    pub fn bits(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    pub fn below(&mut self, limit: u32) -> u32 {
        self.bits() % limit
    }
}

/// A network with every kind of layer: op, stride, activation, zero point, value read, second value, channels.
const SHAPE: [(Op, usize, u8, u8, usize, usize, usize); 8] = [
    (Op::Conv3x3, 1, 1, 0, 0, 0, 8),
    (Op::Conv3x3, 1, 0, 90, 1, 0, 8),
    (Op::Add, 0, 1, 0, 1, 2, 8),
    (Op::Conv1x1, 2, 2, 0, 3, 0, 16),
    (Op::Depthwise3x3, 1, 0, 110, 4, 0, 16),
    (Op::Conv3x3, 2, 1, 0, 5, 0, 24),
    (Op::Depthwise3x3, 2, 2, 0, 6, 0, 24),
    (Op::Conv1x1, 1, 0, 128, 7, 0, 16),
];

impl Net {
    /// Every kind of layer and both strides over an image of `input`, whose sides need not be even.
    pub fn random(arithmetic: Arithmetic, input: [usize; 3], seed: u64) -> Self {
        let mut lcg = Lcg(seed);
        let mut net = Self { arithmetic, input, layers: Vec::new(), readout: None, arena_words: 0 };
        for (op, stride, activation, zero, value, right, channels) in SHAPE {
            let read = net.shapes()[value][2];
            let k = match op {
                Op::Conv3x3 => 9 * read,
                Op::Conv1x1 => read,
                Op::Depthwise3x3 => 9,
                Op::Add => 0,
            };
            let filters = if op == Op::Add { 0 } else { channels };
            let weights = (0..filters).map(|_| (0..k).map(|_| weight(arithmetic, k, &mut lcg)).collect()).collect();
            let parameters = (0..filters).map(|_| parameters(arithmetic, k, zero, &mut lcg)).collect();
            // left * 0.9 + (right - 90) * 1.4
            let sum = [58_982, 91_750, 32_768 - 90 * 91_750, 16];
            let sum = if op == Op::Add && arithmetic == Arithmetic::Int8 { sum } else { [0; 4] };
            let layer = Layer {
                op,
                stride,
                activation,
                zero,
                input: value,
                right,
                channels,
                place: 0,
                weights,
                parameters,
                sum,
            };
            net.layers.push(layer);
        }
        net.place();
        net
    }

    /// Pools values of every kind: the first, both in the place that a sum takes over, a depthwise one, and the last with
    /// the cells of a grid. `dim`: dimensions of the linear map, 0 for none.
    pub fn with_readout(mut self, dim: usize, seed: u64) -> Self {
        let values = vec![
            (1, PART_MEAN | PART_STD, 0.03),
            (2, PART_MEAN, 0.05),
            (3, PART_MEAN | PART_STD, 0.02),
            (7, PART_MEAN | PART_STD, 0.04),
            (8, PART_MEAN | PART_STD | PART_CELLS, 0.05),
        ];
        // The values of an f16 blob have the unit 1.
        let unit = |unit: f32| if self.arithmetic == Arithmetic::F16 { 1.0 } else { unit };
        let values = values.into_iter().map(|(value, parts, u)| (value, parts, unit(u))).collect();
        let mut lcg = Lcg(seed);
        let mut readout = Readout { values, eps: 1e-4, map: Vec::new() };
        let pooled = self.pooled(&readout);
        for _ in 0..dim {
            let row = (0..pooled).map(|_| weight(Arithmetic::F16, pooled, &mut lcg)).collect();
            readout.map.push((0.25 + lcg.below(100) as f32 / 64.0, lcg.below(100) as f32 / 32.0 - 1.5, row));
        }
        self.arena_words += pooled as u32;
        self.readout = Some(readout);
        self
    }

    /// Pooled numbers of `readout`.
    fn pooled(&self, readout: &Readout) -> usize {
        let shapes = self.shapes();
        let parts = |parts: u16| 1 + usize::from(parts & PART_STD) / 2 + usize::from(parts & PART_CELLS);
        readout.values.iter().map(|&(value, of, _)| shapes[value][2] * parts(of)).sum()
    }

    /// Dimensions of the feature.
    pub fn dim(&self) -> usize {
        match &self.readout {
            Some(readout) if readout.map.is_empty() => self.pooled(readout),
            Some(readout) => readout.map.len(),
            None => self.layers[self.layers.len() - 1].channels,
        }
    }

    /// The section of the readout.
    fn readout_section(&self) -> Vec<u8> {
        let Some(Readout { values, eps, map }) = &self.readout else { return Vec::new() };
        let mut section = [(values.len() as u16).to_le_bytes(), u16::from(!map.is_empty()).to_le_bytes()].concat();
        section.extend(eps.to_le_bytes());
        for &(value, parts, unit) in values {
            section.extend([(value as u16).to_le_bytes(), parts.to_le_bytes()].as_flattened());
            section.extend(unit.to_le_bytes());
        }
        section.extend(map.iter().flat_map(|(scale, bias, _)| [scale.to_le_bytes(), bias.to_le_bytes()]).flatten());
        for block in map.chunks(8) {
            for p in 0..block[0].2.len() {
                let lanes = (0..8).map(|lane| block.get(lane).map_or(0, |row| row.2[p]));
                section.extend(lanes.flat_map(u16::to_le_bytes));
            }
        }
        section
    }

    /// Shape `[rows, columns, channels]` of every value.
    pub fn shapes(&self) -> Vec<[usize; 3]> {
        let mut shapes = vec![self.input];
        for layer in &self.layers {
            let [rows, columns, _] = shapes[layer.input];
            let stride = layer.stride.max(1);
            shapes.push([rows.div_ceil(stride), columns.div_ceil(stride), layer.channels]);
        }
        shapes
    }

    /// Places values one after another, except that the sum replaces its second summand.
    fn place(&mut self) {
        let words: Vec<usize> = self
            .shapes()
            .iter()
            .map(|shape| match self.arithmetic {
                Arithmetic::F16 => shape.iter().product(),
                Arithmetic::Int8 => shape.iter().product::<usize>().div_ceil(4),
            })
            .collect();
        let mut next = words[0];
        for (index, &words) in words[1..].iter().enumerate() {
            if self.layers[index].op == Op::Add {
                self.layers[index].place = self.layers[self.layers[index].right - 1].place;
            } else {
                self.layers[index].place = next as u32;
                next += words;
            }
        }
        let scratch = if self.arithmetic == Arithmetic::F16 { 8 * 9 * 16 } else { 9 * 16 };
        self.arena_words = (next + scratch) as u32;
    }

    /// The bytes of the blob.
    pub fn blob(&self) -> Vec<u8> {
        let int8 = self.arithmetic == Arithmetic::Int8;
        let mut bytes = vec![0; HEADER_LEN];
        let mut nodes: Vec<u32> = Vec::new();
        for layer in &self.layers {
            let weights = bytes.len();
            bytes.extend(self.weights(layer));
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            let parameters = bytes.len();
            bytes.extend(layer.parameters.iter().flatten().flat_map(|word| word.to_le_bytes()));
            let zero = if int8 { layer.zero } else { 0 };
            nodes.push(u32::from_le_bytes([layer.op as u8, layer.stride as u8, layer.activation, zero]));
            nodes.extend([(layer.input | layer.right << 16) as u32, layer.channels as u32, layer.place]);
            nodes.extend([weights as u32, parameters as u32]);
            nodes.extend(layer.sum.map(|word| word as u32));
        }
        let dim = self.dim();
        let input: Vec<u32> = (0..self.input[2])
            .flat_map(|channel| [(0.015f32 + 0.002 * channel as f32).to_bits(), (-1.9f32).to_bits(), 120])
            .collect();
        let statistics = [vec![0.25f32.to_bits(); dim], vec![1.5f32.to_bits(); dim]].concat();
        let words = |section: Vec<u32>| section.into_iter().flat_map(u32::to_le_bytes).collect::<Vec<u8>>();
        let sections = [words(input), words(nodes), words(statistics), self.readout_section()];
        for (kind, section) in SectionKind::ALL.into_iter().zip(sections).filter(|(_, section)| !section.is_empty()) {
            let place = [bytes.len() as u32, section.len() as u32];
            bytes[kind.entry_at()..][..8].copy_from_slice(place.map(u32::to_le_bytes).as_flattened());
            bytes.extend(section);
        }
        let (version, unit) = match self.readout {
            Some(_) => (VERSION_READOUT, 0.0f32),
            None => (VERSION_MEAN, 0.05),
        };
        let mut put = |at: usize, part: &[u8]| bytes[at..at + part.len()].copy_from_slice(part);
        put(0, &MAGIC);
        put(VERSION_AT, &version.to_le_bytes());
        put(ARITHMETIC_AT, &[self.arithmetic as u8]);
        put(CHANNELS_AT, &[self.input[2] as u8]);
        put(HEIGHT_AT, &(self.input[0] as u16).to_le_bytes());
        put(WIDTH_AT, &(self.input[1] as u16).to_le_bytes());
        put(IDENTITY_AT, &[7; IDENTITY_LEN]);
        put(ARENA_WORDS_AT, &self.arena_words.to_le_bytes());
        put(NODE_COUNT_AT, &(self.layers.len() as u16).to_le_bytes());
        put(DIM_AT, &(dim as u16).to_le_bytes());
        put(FEATURE_SCALE_AT, &unit.to_le_bytes());
        let len = (bytes.len() + CHECKSUM_LEN) as u32;
        bytes[LEN_AT..][..4].copy_from_slice(&len.to_le_bytes());
        bytes.extend([0; CHECKSUM_LEN]);
        seal(&mut bytes);
        bytes
    }

    fn weights(&self, layer: &Layer) -> Vec<u8> {
        let (filters, k) = (&layer.weights, layer.weights.first().map_or(0, Vec::len));
        let mut order: Vec<u16> = Vec::new();
        match (layer.op, self.arithmetic) {
            (Op::Depthwise3x3, _) => (0..k).for_each(|k| order.extend(filters.iter().map(|filter| filter[k]))),
            (_, Arithmetic::F16) => {
                for block in filters.chunks(8) {
                    (0..k).for_each(|k| order.extend(block.iter().map(|filter| filter[k])));
                }
            }
            (_, Arithmetic::Int8) => {
                for pair in filters.chunks(2) {
                    for group in (0..k).step_by(4) {
                        let four = |filter: &Vec<u16>| {
                            (group..group + 4).map(|k| filter.get(k).copied().unwrap_or(0)).collect::<Vec<_>>()
                        };
                        order.extend(pair.iter().flat_map(four));
                    }
                }
            }
        }
        match self.arithmetic {
            Arithmetic::F16 => order.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
            Arithmetic::Int8 => order.iter().map(|&weight| weight as u8).collect(),
        }
    }
}

/// A weight as stored: an i8, or an f16 of magnitude 2^-8 to 1.
fn weight(arithmetic: Arithmetic, k: usize, lcg: &mut Lcg) -> u16 {
    match arithmetic {
        Arithmetic::Int8 => lcg.below(255) as u8 as u16,
        Arithmetic::F16 => {
            let exponent = 15 - 1 - k.ilog2() / 2 - lcg.below(3);
            (lcg.below(2) << 15 | exponent << 10 | lcg.below(1024)) as u16
        }
    }
}

fn parameters(arithmetic: Arithmetic, k: usize, zero: u8, lcg: &mut Lcg) -> Vec<u32> {
    match arithmetic {
        Arithmetic::F16 => vec![((lcg.below(2000) as f32 - 1000.0) / 4000.0).to_bits()],
        Arithmetic::Int8 => {
            // A sum is about 6000 times the square root of K.
            let shift = 5 + k.ilog2() / 2;
            let multiplier = (1 << 30) + lcg.below(1 << 30);
            let bias = lcg.below(20_000) as i32 - 10_000;
            vec![bias as u32, multiplier, (1 << (shift - 1)) + (u32::from(zero) << shift), shift]
        }
    }
}

/// Writes the checksum of `bytes`.
pub fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - CHECKSUM_LEN;
    let mut crc = u32::MAX;
    for &byte in &bytes[..end] {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    bytes[end..].copy_from_slice(&(!crc).to_le_bytes());
}

/// `bytes` at an address that is a multiple of 4, as a blob needs.
pub fn aligned(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks(4).map(|word| u32::from_le_bytes(std::array::from_fn(|i| word.get(i).copied().unwrap_or(0)))).collect()
}
