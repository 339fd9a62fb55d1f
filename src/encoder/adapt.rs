//! Another input for a trained encoder: another size, or grey instead of colour.
//!
//! Every layer is a convolution and the feature a mean over pixels, so the weights do not depend on the size of the
//! input. The trained graph is kept, strides included, even where a preset for the new size would have others.
//!
//! **Colour to grey.** A colour encoder sees a grey image as three equal channels `v`, each normalised by its own mean and
//! deviation. For output channel `o` and tap `k` of the stem, `w` its weights and `c` over the three channels,
//!
//! ```text
//! Σ_k Σ_c w[o,c,k] (v[k] - m[c]) / s[c]  =  Σ_k w'[o,k] (v[k] - m) / s  +  Σ_k b[o,k]
//! w'[o,k] = s Σ_c w[o,c,k] / s[c]           b[o,k] = Σ_c w[o,c,k] (m - m[c]) / s[c]
//! ```
//!
//! for any `m` and `s` of the grey encoder. The constant `Σ_k b[o,k]` is subtracted from the running mean of the stem's
//! batch norm. Taps outside the image read 0 in both encoders and so miss their `b[o,k]`: where the means of the channels
//! differ, pixels at the border differ slightly. `m` is chosen to make all `b[o,k]` small; equal means make them 0.

use super::network::{NamedTensor, Network, TensorError};
use super::spec::{Conv, ConvKind, EncoderSpec, InputShape, Node, SpecError};
use crate::data::Preprocessing;

/// An encoder does not take the requested input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The text is not a shape.
    #[error("'{text}' is not an input shape; state CHANNELSxHEIGHTxWIDTH, for instance 1x128x128")]
    Syntax {
        /// The text.
        text: String,
    },
    /// A grey encoder has no weights for colour.
    #[error("the encoder was trained on grey images and cannot see colour; keep 1 channel, or train a colour encoder")]
    GreyToColour,
    /// The node that reads the input is not a dense convolution.
    #[error("node {node} reads the input and is not a dense convolution; its channels cannot be summed")]
    Stem {
        /// Index of the node.
        node: usize,
    },
    /// The size or the number of channels is not allowed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The tensors of the network do not fit its spec.
    #[error(transparent)]
    Tensor(#[from] TensorError),
}

impl std::str::FromStr for InputShape {
    type Err = InputError;

    /// `CHANNELSxHEIGHTxWIDTH`. Whether an encoder takes the shape is checked later.
    fn from_str(text: &str) -> Result<Self, InputError> {
        let syntax = || InputError::Syntax { text: text.to_owned() };
        let sides = text.split('x').map(|part| part.parse().map_err(|_| syntax())).collect::<Result<Vec<_>, _>>()?;
        let &[channels, height, width] = sides.as_slice() else { return Err(syntax()) };
        Ok(Self { channels, height, width })
    }
}

impl std::fmt::Display for InputShape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl InputShape {
    /// The input that `preprocessing` makes.
    pub fn of(preprocessing: &Preprocessing) -> Self {
        let &Preprocessing { channels, height, width, .. } = preprocessing;
        Self { channels, height, width }
    }

    /// Splits `NAME@CHANNELSxHEIGHTxWIDTH`, the encoder `NAME` with another input; `None` for other names.
    pub fn split_from(name: &str) -> Option<(&str, Self)> {
        let (name, input) = name.rsplit_once('@')?;
        Some((name, input.parse().ok()?))
    }
}

impl EncoderSpec {
    /// The same graph for another input.
    ///
    /// # Errors
    /// When the size is not allowed, or a grey encoder would get colour.
    pub fn with_input(&self, input: InputShape) -> Result<Self, InputError> {
        let mut spec = Self { input, ..self.clone() };
        if input.channels != self.input.channels {
            for index in self.stems()? {
                if let Node::Conv { conv, .. } = &mut spec.nodes[index] {
                    conv.channels_in = input.channels;
                }
            }
        }
        // The message about the allowed channels comes before the one about colour.
        spec.shapes()?;
        match input.channels > self.input.channels {
            true => Err(InputError::GreyToColour),
            false => Ok(spec),
        }
    }

    /// The nodes that read the input, all of them dense convolutions.
    fn stems(&self) -> Result<Vec<usize>, InputError> {
        let reading = (0..self.nodes.len()).filter(|&node| self.nodes[node].inputs().contains(&0));
        let dense = |node: usize| match &self.nodes[node] {
            Node::Conv { conv, .. } if conv.kind != ConvKind::Depthwise3x3 => Ok(node),
            _ => Err(InputError::Stem { node }),
        };
        reading.map(dense).collect()
    }
}

/// `network` for another input, and its preprocessing: the filter, range, mean and deviation of `preprocessing`, or those
/// for grey that follow from it.
///
/// Statistics of features do not carry over to another size.
///
/// # Errors
/// As [`EncoderSpec::with_input`].
pub fn adapt(
    network: &Network,
    preprocessing: &Preprocessing,
    input: InputShape,
) -> Result<(Network, Preprocessing), InputError> {
    let spec = network.spec().with_input(input)?;
    let InputShape { channels, height, width } = input;
    let mut recipe = Preprocessing { channels, height, width, ..preprocessing.clone() };
    let mut tensors = [network.to_named(&network.parameters), network.statistics()].concat();
    if channels < preprocessing.channels {
        let stems = network.spec().stems()?;
        let stems: Vec<&Conv> = stems.into_iter().filter_map(|node| network.spec().nodes[node].conv()).collect();
        let grey = Grey::for_stems(&stems, &tensors, preprocessing);
        (recipe.mean, recipe.std) = (vec![grey.mean as f32], vec![grey.std as f32]);
        for conv in stems {
            grey.fold(conv, &mut tensors, preprocessing);
        }
    }
    let mut adapted = network.emptied(spec)?;
    adapted.parameters = adapted.from_named(&tensors)?;
    adapted.set_statistics(&tensors)?;
    Ok((adapted, recipe))
}

/// `network` for another input, with all parameters 0: to read those of an adapted encoder into.
///
/// # Errors
/// As [`EncoderSpec::with_input`].
pub fn emptied(network: &Network, input: InputShape) -> Result<Network, InputError> {
    Ok(network.emptied(network.spec().with_input(input)?)?)
}

/// Mean and deviation of the grey encoder, as stored in f32.
struct Grey {
    mean: f64,
    std: f64,
}

/// Index of the tensor `name`.
fn position(tensors: &[NamedTensor], name: &str) -> usize {
    tensors.iter().position(|tensor| tensor.name == name).expect("a network has all tensors of its convolutions")
}

impl Grey {
    /// Minimises `Σ b[o,k]²` over `m`; `s` is the mean of the deviations, so that inputs keep their scale.
    fn for_stems(stems: &[&Conv], tensors: &[NamedTensor], recipe: &Preprocessing) -> Self {
        let average = |values: &[f32]| values.iter().map(|&x| f64::from(x)).sum::<f64>() / values.len() as f64;
        let (mut products, mut squares) = (0.0, 0.0);
        for conv in stems {
            for_each_tap(&tensors[position(tensors, &format!("{}.weight", conv.name))], |taps| {
                let (sum, weighted) = sums(taps, recipe);
                (products, squares) = (products + sum * weighted, squares + sum * sum);
            });
        }
        let [low, high] = [f32::min, f32::max].map(|pick| recipe.mean.iter().copied().reduce(pick).unwrap_or(0.0));
        let best = if squares > 0.0 { products / squares } else { average(&recipe.mean) };
        let mean = best.clamp(f64::from(low), f64::from(high));
        // Rounded first, so that the folding uses the values that are stored.
        Self { mean: f64::from(mean as f32), std: f64::from(average(&recipe.std) as f32) }
    }

    /// Replaces the weights of `conv` by those for grey, and corrects the running mean after it.
    fn fold(&self, conv: &Conv, tensors: &mut [NamedTensor], recipe: &Preprocessing) {
        let taps = conv.kernel() * conv.kernel();
        let weight = position(tensors, &format!("{}.weight", conv.name));
        let (mut summed, mut constant) = (Vec::new(), vec![0.0; conv.channels_out]);
        for_each_tap(&tensors[weight], |taps_of_channels| {
            let (sum, weighted) = sums(taps_of_channels, recipe);
            constant[summed.len() / taps] += self.mean * sum - weighted;
            summed.push((self.std * sum) as f32);
        });
        (tensors[weight].data, tensors[weight].shape[1]) = (summed, 1);
        let means = position(tensors, &format!("{}.running_mean", conv.norm));
        tensors[means]
            .data
            .iter_mut()
            .zip(constant)
            .for_each(|(mean, constant)| *mean = (f64::from(*mean) - constant) as f32);
    }
}

/// Calls `each` with the weights of all input channels, for every output channel and tap, in this order.
fn for_each_tap(weight: &NamedTensor, mut each: impl FnMut(&[f32])) {
    let [channels, taps] = [weight.shape[1], weight.shape[2] * weight.shape[3]];
    for filter in weight.data.chunks_exact(channels * taps) {
        for tap in 0..taps {
            each(&(0..channels).map(|channel| filter[channel * taps + tap]).collect::<Vec<_>>());
        }
    }
}

/// `Σ w[c] / s[c]` and `Σ w[c] m[c] / s[c]`.
fn sums(weights: &[f32], recipe: &Preprocessing) -> (f64, f64) {
    let scaled = weights.iter().zip(&recipe.std).map(|(&weight, &std)| f64::from(weight) / f64::from(std));
    scaled
        .zip(&recipe.mean)
        .fold((0.0, 0.0), |(sum, weighted), (scaled, &mean)| (sum + scaled, weighted + scaled * f64::from(mean)))
}

#[cfg(test)]
mod tests {
    use super::super::presets::Preset;
    use super::super::readout::Readout;
    use super::*;
    use crate::kernel::Activation;
    use crate::rng::Rng;

    /// A network of `spec` whose batch norms are not the identity.
    fn network(spec: EncoderSpec) -> Network {
        let mut network = Network::new(spec, 3).unwrap();
        let mut rng = Rng::for_purpose(3, "statistics");
        let mut statistics = network.statistics();
        for tensor in &mut statistics {
            let is_mean = tensor.name.ends_with("running_mean");
            tensor.data.iter_mut().for_each(|x| *x = if is_mean { 0.1 * rng.normal() } else { 0.5 + rng.uniform() });
        }
        network.set_statistics(&statistics).unwrap();
        network
    }

    fn preset(preset: Preset, channels: usize, side: usize) -> EncoderSpec {
        EncoderSpec::preset(preset, InputShape { channels, height: side, width: side }).unwrap()
    }

    fn colour(side: usize, mean: [f32; 3]) -> Preprocessing {
        Preprocessing { mean: mean.to_vec(), std: vec![0.2, 0.25, 0.31], ..Preprocessing::unit(3, side, side) }
    }

    /// Largest difference between features of the colour and of the grey encoder on grey images, relative to their length.
    fn error(colour: (&Network, &Preprocessing), grey: (&Network, &Preprocessing)) -> f32 {
        let mut rng = Rng::for_purpose(5, "grey images");
        let pixels: Vec<u8> = (0..4 * grey.1.input_len()).map(|_| (rng.uniform() * 255.0) as u8).collect();
        let repeated: Vec<u8> = pixels.iter().flat_map(|&value| [value; 3]).collect();
        let [a, b] = [colour.0.embed(&colour.1.normalise(&repeated)), grey.0.embed(&grey.1.normalise(&pixels))];
        let dim = colour.0.spec().feature_dim();
        assert_eq!((a.len(), b.len()), (4 * dim, 4 * dim));
        let of_image = |(a, b): (&[f32], &[f32])| {
            let length = a.iter().map(|x| x * x).sum::<f32>().sqrt();
            a.iter().zip(b).map(|(a, b)| (a - b).abs() / length).fold(0.0, f32::max)
        };
        a.chunks(dim).zip(b.chunks(dim)).map(of_image).fold(0.0, f32::max)
    }

    fn grey_error(spec: &EncoderSpec, recipe: &Preprocessing) -> f32 {
        let network = network(spec.clone());
        let (grey, grey_recipe) = adapt(&network, recipe, InputShape { channels: 1, ..spec.input }).unwrap();
        error((&network, recipe), (&grey, &grey_recipe))
    }

    #[test]
    fn a_grey_encoder_gives_the_features_of_the_colour_encoder() {
        for (name, side) in [(Preset::Nano, 16), (Preset::Mobile, 32)] {
            let found = grey_error(&preset(name, 3, side), &colour(side, [0.45; 3]));
            assert!(found < 1e-5, "{name:?}: {found}");
        }
        // Different means: exact without a border, nearly so with one.
        let conv = Conv {
            name: "stem".into(),
            norm: "norm".into(),
            kind: ConvKind::Pointwise,
            channels_in: 3,
            channels_out: 16,
            stride: 1,
            activation: Activation::Relu,
        };
        let input = InputShape { channels: 3, height: 16, width: 16 };
        let pointwise = EncoderSpec {
            name: "test".into(),
            input,
            readout: Readout::default(),
            nodes: vec![Node::Conv { input: 0, conv }],
        };
        let different = colour(16, [0.52, 0.46, 0.39]);
        assert!(grey_error(&pointwise, &different) < 1e-5);
        let padded = grey_error(&preset(Preset::Nano, 3, 16), &different);
        assert!(padded > 1e-5 && padded < 0.1, "{padded}");
    }

    #[test]
    fn the_trained_graph_is_kept_at_another_size() {
        let small = network(preset(Preset::Nano, 3, 32));
        let recipe = colour(32, [0.5; 3]);
        let input = InputShape { channels: 3, height: 48, width: 80 };
        let (large, large_recipe) = adapt(&small, &recipe, input).unwrap();
        assert_eq!(large.spec().nodes, small.spec().nodes);
        assert_eq!((large.spec().input, InputShape::of(&large_recipe)), (input, input));
        assert_eq!((&large.parameters, &large_recipe.mean), (&small.parameters, &recipe.mean));
        // The preset for this size has a stem of stride 2 instead.
        assert_ne!(preset(Preset::Nano, 3, 80).nodes, small.spec().nodes);
        let (same, same_recipe) = adapt(&large, &large_recipe, small.spec().input).unwrap();
        assert_eq!((same.spec(), &same_recipe), (small.spec(), &recipe));
        let image = vec![0.25; recipe.input_len()];
        assert_eq!(same.embed(&image), small.embed(&image));
    }

    #[test]
    fn unsupported_inputs_are_refused() {
        let grey = network(preset(Preset::Pico, 1, 16));
        let refusal = |input: &str| {
            let input = input.parse().unwrap();
            adapt(&grey, &Preprocessing::unit(1, 16, 16), input).err()
        };
        assert_eq!(refusal("1x24x16"), None);
        assert_eq!(refusal("3x16x16"), Some(InputError::GreyToColour));
        assert!(matches!(refusal("2x16x16"), Some(InputError::Spec(SpecError::Channels { channels: 2 }))));
        assert!(matches!(refusal("1x4x16"), Some(InputError::Spec(SpecError::Size { height: 4, .. }))));
        for text in ["", "1x16", "1x16x16x1", "1x16xa", "1x-3x4", "128"] {
            assert!(matches!(text.parse::<InputShape>(), Err(InputError::Syntax { .. })), "{text}");
        }
        assert_eq!(
            InputShape::split_from("a@b@1x8x9").map(|(name, input)| (name, input.to_string())),
            Some(("a@b", "1x8x9".into()))
        );
        assert_eq!(InputShape::split_from("a@b"), None);
    }
}
