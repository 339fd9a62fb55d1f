//! Minimal encoders in every format, and bundles of them.

use macula::blob::{self, BlobFile, BlobParts, Weights, calibrate};
use macula::bundle::{self, Bundle, BundleContents, KeyPair, Limits, Origin, PartKind};
use macula::data::{Image, Preprocessing};
use macula::encoder::{
    Activation, Conv, ConvKind, CorpusStatistics, EncoderSpec, FoldedConv, FoldedEncoder, InputShape, LinearMap, Node,
    Pooling, Readout,
};
use macula::export::to_onnx;
use macula::isolated::OnnxHost;
use macula::rng::Rng;
use macula::runtime::{ElementType, Metadata, Provenance, encode, pb};

use crate::graph;
use crate::input::Input;

type Seeds<const N: usize> = [(&'static str, Vec<u8>); N];

fn conv(name: &str, kind: ConvKind, channels_in: usize, stride: usize) -> Conv {
    let activation = if stride == 1 { Activation::Relu6 } else { Activation::Relu };
    Conv { name: name.into(), norm: String::new(), kind, channels_in, channels_out: 8, stride, activation }
}

/// A convolution over 8×8 grey pixels, then a depthwise and a pointwise one and their sum.
fn encoder() -> FoldedEncoder {
    let convs = [
        conv("first", ConvKind::Full3x3, 1, 2),
        conv("second", ConvKind::Depthwise3x3, 8, 1),
        conv("third", ConvKind::Pointwise, 8, 1),
    ];
    let mut rng = Rng::for_purpose(1, "samples");
    let mut folded = |conv: &Conv| FoldedConv {
        weight: (0..conv.weight_len()).map(|_| 0.4 * rng.normal()).collect(),
        bias: vec![0.1; conv.channels_out],
    };
    let weights = convs.iter().map(&mut folded).collect();
    let mut nodes: Vec<Node> = convs.into_iter().enumerate().map(|(input, conv)| Node::Conv { input, conv }).collect();
    nodes.push(Node::Add { left: 1, right: 3, activation: Activation::Relu });
    let input = InputShape { channels: 1, height: 8, width: 8 };
    FoldedEncoder {
        spec: EncoderSpec { name: "tiny".into(), input, readout: Readout::default(), nodes },
        convs: weights,
        map: None,
    }
}

fn recipe() -> Preprocessing {
    Preprocessing { mean: vec![0.5], std: vec![0.25], ..Preprocessing::unit(1, 8, 8) }
}

fn statistics() -> CorpusStatistics {
    CorpusStatistics { mean: vec![0.25; 8], std: vec![0.5; 8], length_max: Some(301) }
}

fn description(corpus: Option<CorpusStatistics>) -> Metadata {
    let provenance = Provenance {
        program_version: "0.1.0".into(),
        method: "none".into(),
        seed: 7,
        data: "drawn".into(),
        encoder: encoder().spec,
        config_sha256: String::new(),
        teachers: Vec::new(),
    };
    Metadata { preprocessing: recipe(), provenance, corpus }
}

fn exported(element: ElementType, corpus: Option<CorpusStatistics>) -> Vec<u8> {
    encode(&to_onnx(&encoder(), element, &description(corpus)).expect("the encoder can be exported"))
}

/// Metadata of our files, with and without corpus statistics.
pub fn metadata() -> Seeds<3> {
    let texts = |metadata: Metadata, keys: &[&str]| {
        let mut model = pb::ModelProto::default();
        metadata.write_to(&mut model).expect("there is nothing that JSON cannot express");
        let text =
            |key: &&str| model.metadata_props.iter().find(|entry| entry.key == *key).map(|entry| &entry.value[..]);
        let texts: Vec<&[u8]> = keys.iter().map(|key| text(key).unwrap_or_default().as_bytes()).collect();
        texts.join(&0xFF)
    };
    const KEYS: [&str; 4] = ["macula.format", "macula.preprocessing", "macula.provenance", "macula.corpus"];
    let colour = Metadata { preprocessing: Preprocessing::unit(3, 32, 24), ..description(None) };
    [
        ("whole", texts(description(Some(statistics())), &KEYS)),
        ("no-corpus", texts(colour, &KEYS[..3])),
        ("no-provenance", texts(description(None), &KEYS[..2])),
    ]
}

/// Our exports, and a minimal model.
pub fn onnx() -> Seeds<4> {
    [
        ("f32", exported(ElementType::F32, Some(statistics()))),
        ("f16", exported(ElementType::F16, None)),
        ("flatten", encode(&graph::model(&mut Input::new(&[0, 7, 7, 1])))),
        ("conv-pool", encode(&graph::model(&mut Input::new(&GRAPH)))),
    ]
}

/// A convolution with a 2×1×3×3 kernel, padded by 1, an activation and global pooling. See the target `graph`.
const GRAPH: [u8; 28] = [
    0, 7, 7, 0x10, // 1×8×8 pixels, operator set 13
    0, 0, 0x11, 0x14, 20, 2, 1, 3, 3, 2, 0b1_0010, 1, 1, 1, 1, // Conv, one constant, attribute pads
    8, 0, 0, // Relu
    4, 0, 0, // GlobalAveragePool
    49, 0, 0, // Flatten
];

/// Graphs: our encoders, and single nodes of many kinds.
pub fn graphs() -> Seeds<10> {
    let one = |node: &[u8]| [&[0, 5, 5, 0x10][..], node].concat();
    [
        ("conv-pool", GRAPH.to_vec()),
        ("flatten", vec![0, 7, 7, 0]),
        ("colour", [&[1, 5, 5, 0x10][..], &GRAPH[19..]].concat()),
        ("max-pool", one(&[2, 0, 0x20, 0, 2 << 2 | 2, 2, 2, 1, 2 << 2 | 2, 2, 2])),
        ("deconv", one(&[1, 0, 0x21, 4, 30, 1, 2, 3, 3, 1, 2 << 2 | 2, 2, 2, 8, 2 << 2 | 2, 1, 1])),
        ("sum-of-two", one(&[8, 0, 0, 21, 0x18, 0])),
        ("pad", one(&[47, 0, 0x10, 2, 0, 2, 2 | 7 << 2, 0, 0, 1, 1, 0, 0, 1])),
        ("resize", one(&[56, 0, 0x12, 1, 0, 0, 0x04, 64, 4, 18, 3, 7])),
        ("reduce", one(&[57, 0, 0x10, 15, 2 << 2 | 2, 2, 3])),
        ("softmax", one(&[20, 0, 0x10, 14, 0, 1, 31, 0, 0])),
    ]
}

/// Graphs that once made the inference library panic.
pub fn bad_graphs() -> Seeds<4> {
    let one = |node: &[u8]| [&[0, 15, 15, 0x10][..], node].concat();
    let to_integer = [60, 0, 0x10, 23, 0, 7];
    let to_float = [60, 0, 0x10, 23, 0, 1];
    let pool = [4, 0, 0];
    [
        // A transposed convolution of stride 0.
        ("deconv-stride-0", one(&[&[1, 0, 0x11, 4, 30, 1, 1, 3, 3, 1, 2 << 2 | 2, 0, 0][..], &pool].concat())),
        // Normalisation over 0 neighbours.
        ("lrn-size-0", one(&[43, 0, 0x10, 25, 0, 0])),
        // Padding by -1 on every side, including the batch.
        ("negative-pad", one(&[47, 0, 0x01, 9, 0xFF, 8])),
        // Integer remainder by the pixel.
        ("remainder-by-pixel", one(&[&to_integer[..], &[25, 8, 0], &to_float].concat())),
    ]
}

fn picture(width: usize, height: usize, step: usize) -> Image {
    let pixels = (0..width * height).map(|index| (index * index * step % 251) as u8).collect();
    Image { width, height, channels: 1, pixels }
}

fn bundled(blob: Option<&[u8]>) -> Bundle {
    let onnx = exported(ElementType::F16, None);
    let contents = BundleContents {
        onnx_name: "tiny",
        onnx: &onnx,
        blob,
        preprocessing: recipe(),
        corpus: None,
        golden: vec![picture(8, 8, 3), picture(9, 7, 5)],
        reference: None,
        tolerance: None,
        labels: vec!["bright".into()],
        limits: Limits { classes: 4, supports: 100, arena_bytes: None },
        origin: Origin { name: "tiny".into(), origin: None },
        host: OnnxHost::InProcess,
    };
    bundle::make(&contents, 3, &KeyPair::from_secret([7; 32])).expect("the encoder can be bundled")
}

/// A bundle as input of its target: parts, each after its kind and length.
fn taken_apart(bundle: &Bundle, kinds: &[PartKind]) -> Vec<u8> {
    let parts: Vec<(PartKind, &[u8])> = kinds.iter().filter_map(|&kind| Some((kind, bundle.part(kind)?))).collect();
    let mut bytes = vec![parts.len() as u8 - 1, 0, 0];
    for (index, (kind, part)) in parts.iter().enumerate() {
        bytes.push(*kind as u8 - 1);
        if index + 1 < parts.len() {
            bytes.extend((part.len() as u16).to_le_bytes());
        }
        bytes.extend_from_slice(part);
    }
    bytes
}

/// Bundles with an ONNX file, with a blob, with both, and with a changed header.
pub fn bundles() -> Seeds<4> {
    use PartKind::{Blob, Golden, Manifest};
    let [half, _] = both_blobs(&encoder());
    let bundle = bundled(Some(&half));
    let mut changed = taken_apart(&bundle, &[Manifest, Golden]);
    changed[..3].copy_from_slice(&[0x81, 10, 2]);
    [
        ("onnx", taken_apart(&bundled(None), &PartKind::ALL)),
        ("both", taken_apart(&bundle, &PartKind::ALL)),
        ("blob", taken_apart(&bundle, &[Manifest, Blob, Golden])),
        ("changed-header", changed),
    ]
}

fn both_blobs(encoder: &FoldedEncoder) -> [Vec<u8>; 2] {
    let (recipe, statistics) = (recipe(), statistics());
    let make = |weights: Weights<'_>| {
        let (preprocessing, corpus) = (&recipe, Some(statistics.view()));
        let parts = BlobParts { encoder, preprocessing, weights, corpus, golden: None };
        blob::make(&parts, blob::Limits::default()).expect("the encoder fits a blob")
    };
    let half = make(Weights::F16);
    let images: Vec<Vec<u8>> = (1..9).map(|step| picture(8, 8, step).pixels).collect();
    let file = BlobFile::from_bytes("half", &half).expect("it was made here");
    let ranges = calibrate(&file, &encoder.spec, &images).expect("it runs");
    let int8 = make(Weights::Int8(&ranges));
    [half, int8]
}

/// The encoder with every part of a readout, and a linear map to the same dimension.
fn with_readout() -> FoldedEncoder {
    let mut encoder = encoder();
    encoder.spec.readout = Readout { dim: Some(8), ..Readout::pooled(Pooling::Grid) };
    let mut rng = Rng::for_purpose(2, "samples");
    let weight = (0..8 * encoder.spec.pooled_len()).map(|_| 0.2 * rng.normal()).collect();
    encoder.map = Some(LinearMap { weight, bias: vec![0.1; 8] });
    encoder
}

/// One encoder in f16 and in int8, and the same with a readout.
pub fn blobs() -> Seeds<4> {
    let [half, int8] = both_blobs(&encoder());
    let [half_readout, int8_readout] = both_blobs(&with_readout());
    [("f16", half), ("int8", int8), ("f16-readout", half_readout), ("int8-readout", int8_readout)]
}
