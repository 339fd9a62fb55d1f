//! A folded encoder computed in plain f64 loops: the reference for exported files.
//!
//! NCHW, one image at a time.

use macula::data::{Preprocessing, ResizeFilter};
use macula::encoder::{
    Activation, Conv, ConvKind, EncodeError, EncoderId, EncoderSpec, FoldedConv, FoldedEncoder, HostEncoder,
    HostEncoderInfo, InputShape, LinearMap, Node, Pooling, Preset, Readout, STD_EPSILON,
};
use macula::rng::Rng;

/// A value of the graph: `[C, H, W]`.
#[derive(Clone)]
struct Map {
    height: usize,
    width: usize,
    data: Vec<f64>,
}

/// The encoder and its description.
pub struct Naive {
    pub encoder: FoldedEncoder,
    pub info: HostEncoderInfo,
}

/// A preset for images of `channels` × `side` × `side` with He-normal weights and random biases.
pub fn random_encoder(preset: Preset, channels: usize, side: usize, seed: u64) -> Naive {
    let spec = EncoderSpec::preset(preset, InputShape { channels, height: side, width: side }).unwrap();
    let mut rng = Rng::for_purpose(seed, "naive");
    let mut convs = Vec::new();
    for node in &spec.nodes {
        if let Node::Conv { conv, .. } = node {
            let deviation = (2.0 * conv.channels_out as f32 / conv.weight_len() as f32).sqrt();
            convs.push(FoldedConv {
                weight: (0..conv.weight_len()).map(|_| deviation * rng.normal()).collect(),
                bias: (0..conv.channels_out).map(|_| 0.1 * rng.normal()).collect(),
            });
        }
    }
    let preprocessing = Preprocessing {
        channels,
        height: side,
        width: side,
        filter: ResizeFilter::Triangle,
        mean: vec![0.45; channels],
        std: vec![0.25; channels],
        range: None,
    };
    let (name, arithmetic, feature_dim) = ("naive".into(), "f64".into(), spec.feature_dim());
    let info = HostEncoderInfo { name, id: EncoderId([0; 32]), feature_dim, preprocessing, corpus: None, arithmetic };
    Naive { encoder: FoldedEncoder { spec, convs, map: None }, info }
}

impl Naive {
    /// The same network with another readout, with a random linear map to `dim` dimensions if stated.
    #[allow(dead_code, reason = "not every test changes the readout")]
    pub fn with_readout(mut self, pooling: Pooling, dim: Option<usize>, seed: u64) -> Self {
        let spec = &mut self.encoder.spec;
        spec.readout = Readout { dim, ..Readout::pooled(pooling) };
        let (pooled, mut rng) = (spec.pooled_len(), Rng::for_purpose(seed, "naive readout"));
        self.encoder.map = dim.map(|dim| LinearMap {
            weight: (0..dim * pooled).map(|_| rng.normal() / (pooled as f32).sqrt()).collect(),
            bias: (0..dim).map(|_| 0.1 * rng.normal()).collect(),
        });
        self.info.feature_dim = spec.feature_dim();
        self
    }
}

impl HostEncoder for Naive {
    fn info(&self) -> &HostEncoderInfo {
        &self.info
    }

    fn encode_batch(&self, pixels: &[u8]) -> Result<Vec<f32>, EncodeError> {
        let input = self.info.preprocessing.normalise(pixels);
        Ok(input.chunks(self.info.preprocessing.input_len()).flat_map(|image| encode(&self.encoder, image)).collect())
    }
}

/// The feature `[D]` of one image `[H, W, C]`.
fn encode(encoder: &FoldedEncoder, image: &[f32]) -> Vec<f32> {
    let InputShape { channels, height, width } = encoder.spec.input;
    let mut input = Map { height, width, data: vec![0.0; image.len()] };
    for (i, &value) in image.iter().enumerate() {
        let (pixel, channel) = (i / channels, i % channels);
        input.data[channel * height * width + pixel] = f64::from(value);
    }
    let mut values = vec![input];
    let mut convs = encoder.convs.iter();
    for node in &encoder.spec.nodes {
        let value = match node {
            Node::Conv { input, conv } => convolve(&values[*input], conv, convs.next().unwrap()),
            Node::Add { left, right, activation } => {
                let mut sum = values[*left].clone();
                let right = &values[*right].data;
                sum.data.iter_mut().zip(right).for_each(|(a, b)| *a = activate(*activation, *a + b));
                sum
            }
        };
        values.push(value);
    }
    let pooled = pool(&encoder.spec, &values);
    let Some(map) = &encoder.map else { return pooled.iter().map(|&value| value as f32).collect() };
    let row = |(weights, &bias): (&[f32], &f32)| {
        let products = weights.iter().zip(&pooled).map(|(&weight, &value)| f64::from(weight) * value);
        (f64::from(bias) + products.sum::<f64>()) as f32
    };
    map.weight.chunks(pooled.len()).zip(&map.bias).map(row).collect()
}

/// The pooled values: for each value its means and standard deviations, then the cells of the last value.
fn pool(spec: &EncoderSpec, values: &[Map]) -> Vec<f64> {
    let pooling = spec.readout.pooling;
    let last = values.len() - 1;
    let taken = if pooling.takes_stages() { spec.stage_outputs() } else { vec![last] };
    let mut pooled = Vec::new();
    for &value in &taken {
        let map = &values[value];
        let channels = || map.data.chunks(map.height * map.width);
        let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
        pooled.extend(channels().map(mean));
        if pooling.takes_std() {
            pooled.extend(channels().map(|numbers| {
                let squares: Vec<f64> = numbers.iter().map(|number| (number - mean(numbers)).powi(2)).collect();
                (mean(&squares) + f64::from(STD_EPSILON)).sqrt()
            }));
        }
    }
    if pooling.takes_cells() {
        let Map { height, width, data } = &values[last];
        let halves = |side: usize| [0..side.div_ceil(2), side / 2..side];
        for rows in halves(*height) {
            for columns in halves(*width) {
                pooled.extend(data.chunks(height * width).map(|channel| {
                    let cell = rows.clone().flat_map(|row| &channel[row * width..][columns.clone()]);
                    cell.sum::<f64>() / (rows.len() * columns.len()) as f64
                }));
            }
        }
    }
    pooled
}

fn convolve(input: &Map, conv: &Conv, folded: &FoldedConv) -> Map {
    let (kernel, stride) = (if conv.kind == ConvKind::Pointwise { 1 } else { 3 }, conv.stride);
    let padding = kernel / 2;
    let depthwise = conv.kind == ConvKind::Depthwise3x3;
    let (height, width) = (input.height.div_ceil(stride), input.width.div_ceil(stride));
    let mut output = Map { height, width, data: Vec::new() };
    let weights_of_one = folded.weight.len() / conv.channels_out;
    for o in 0..conv.channels_out {
        let weight = &folded.weight[o * weights_of_one..][..weights_of_one];
        for y in 0..height {
            for x in 0..width {
                let mut sum = f64::from(folded.bias[o]);
                for (tap, &w) in weight.iter().enumerate() {
                    let (c, ky, kx) = (tap / (kernel * kernel), tap / kernel % kernel, tap % kernel);
                    let c = if depthwise { o } else { c };
                    let (row, column) =
                        ((y * stride + ky).wrapping_sub(padding), (x * stride + kx).wrapping_sub(padding));
                    if row < input.height && column < input.width {
                        sum += f64::from(w) * input.data[(c * input.height + row) * input.width + column];
                    }
                }
                output.data.push(activate(conv.activation, sum));
            }
        }
    }
    output
}

fn activate(activation: Activation, value: f64) -> f64 {
    match activation {
        Activation::Identity => value,
        Activation::Relu => value.max(0.0),
        Activation::Relu6 => value.clamp(0.0, 6.0),
    }
}
