//! What a taught head and its file promise.

use super::taught::hexadecimal;
use super::*;
use crate::data::{Preprocessing, ResizeFilter};
use crate::encoder::{CorpusStatistics, EmbedError, Embedder};

const DIM: usize = 6;

/// An encoder that exists in name only: heads ask for no more than that.
struct Named {
    name: &'static str,
    preprocessing: Preprocessing,
    corpus: Option<CorpusStatistics>,
}

impl Named {
    fn new(name: &'static str) -> Self {
        let (mean, std) = (vec![0.0], vec![1.0]);
        let preprocessing =
            Preprocessing { channels: 1, height: 1, width: DIM, filter: ResizeFilter::Triangle, mean, std };
        let corpus = Some(CorpusStatistics { mean: vec![0.5; DIM], std: vec![2.0; DIM] });
        Self { name, preprocessing, corpus }
    }
}

impl Embedder for Named {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn identity(&self) -> [u8; 32] {
        [self.name.len() as u8; 32]
    }

    fn corpus(&self) -> Option<&CorpusStatistics> {
        self.corpus.as_ref()
    }

    fn feature_dim(&self) -> usize {
        DIM
    }

    fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    fn embed_input(&self, input: &[f32]) -> Result<Vec<f32>, EmbedError> {
        Ok(input.to_vec())
    }
}

fn feature(number: u8) -> [f32; DIM] {
    std::array::from_fn(|i| (f32::from(number) * 1.7 + i as f32 * f32::from(number + 1)).sin())
}

fn hash(number: u8) -> [u8; 32] {
    [number.wrapping_mul(37); 32]
}

fn teach(head: &mut TaughtHead, lessons: &[(&str, u8)]) {
    for (class, number) in lessons {
        let learned = head.learn(class, &format!("image {number}"), hash(*number), &feature(*number)).unwrap();
        assert_eq!(learned, Learned::New);
    }
}

fn saved(head: &TaughtHead) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.head");
    save(head, &path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(&load(&path).unwrap(), head, "what is read is what was written");
    bytes
}

#[test]
fn order_never_matters_and_forgetting_is_exact() {
    let encoder = Named::new("one");
    let (mut straight, mut crooked) = (TaughtHead::new(&encoder), TaughtHead::new(&encoder));
    teach(&mut straight, &[("b", 1), ("b", 2), ("d", 3), ("a", 4)]);
    teach(&mut crooked, &[("d", 3), ("c", 9), ("a", 8), ("b", 2), ("a", 4), ("c", 7), ("b", 1)]);
    crooked.forget_sample("image 8").unwrap();
    assert_eq!(crooked.forget_sample(&hexadecimal(&hash(9))[..10]).unwrap().name, "image 9");
    assert_ne!(saved(&crooked), saved(&straight));
    assert_eq!(crooked.forget_class("c").unwrap(), 1);
    assert_eq!(saved(&crooked), saved(&straight));
    assert_eq!(crooked.state().unwrap(), straight.state().unwrap());
    let names = ["query"; 1];
    for kind in [HeadKind::Prototype, HeadKind::Gaussian] {
        let asked = |head: &TaughtHead| head.predict(kind, &names, &feature(5)).unwrap();
        assert_eq!(asked(&crooked), asked(&straight));
        let own = straight.predict(kind, &names, &feature(4)).unwrap();
        assert_eq!(straight.classes()[usize::from(own[0].decision.class)], "a", "{kind}: the sample itself");
    }
    for class in ["a", "b", "d"] {
        straight.forget_class(class).unwrap();
    }
    assert_eq!(saved(&straight), saved(&TaughtHead::new(&encoder)));
    assert!(straight.predict(HeadKind::Gaussian, &names, &feature(5)).is_err());
}

#[test]
fn refusals_leave_the_head_alone() {
    let mut head = TaughtHead::new(&Named::new("one"));
    teach(&mut head, &[("a", 1), ("b", 2)]);
    let before = head.clone();
    let known = head.learn("a", "other name", hash(1), &feature(1)).unwrap();
    assert_eq!(known, Learned::Known { name: "image 1".to_owned() });
    assert!(matches!(head.learn("b", "x", hash(1), &feature(1)), Err(TeachError::OtherClass { .. })));
    assert!(matches!(head.learn("", "x", hash(3), &feature(3)), Err(TeachError::ClassName { .. })));
    assert!(matches!(head.learn("c\n", "x", hash(3), &feature(3)), Err(TeachError::ClassName { .. })));
    assert!(matches!(head.learn("c", "x", hash(3), &[f32::NAN; DIM]), Err(TeachError::Feature { .. })));
    assert!(matches!(head.learn("c", "x", hash(3), &[1.0; DIM - 1]), Err(TeachError::Feature { .. })));
    assert!(matches!(head.forget_class("c"), Err(TeachError::UnknownClass { .. })));
    assert!(matches!(head.forget_sample("image 3"), Err(TeachError::UnknownSample { samples: 2, .. })));
    assert_eq!(head, before);
    let error = head.check_encoder(&Named::new("another")).unwrap_err().to_string();
    assert!(error.contains("'one' (03030303…") && error.contains("'another' (07070707…"), "{error}");
    head.check_encoder(&Named::new("one")).unwrap();
    head.learn("a", "image 1", hash(4), &feature(4)).unwrap();
    assert!(matches!(head.forget_sample("image 1"), Err(TeachError::AmbiguousSample { found: 2, .. })));
}

#[test]
fn a_head_takes_255_classes() {
    let mut head = TaughtHead::new(&Named::new("one"));
    for class in 0..=255u8 {
        let learned = head.learn(&format!("class {class}"), "x", [class; 32], &feature(class % 9));
        assert_eq!(learned.is_ok(), class < 255, "{class}: {learned:?}");
    }
    assert_eq!(head.classes().len(), 255);
}

#[test]
fn every_cut_and_every_flipped_bit_is_noticed() {
    let mut head = TaughtHead::new(&Named::new("one"));
    teach(&mut head, &[("a", 1), ("b", 2)]);
    let good = saved(&head);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.head");
    let loaded = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        load(&path)
    };
    for cut in 1..good.len() {
        assert!(loaded(&good[..cut]).is_err_and(|error| error.is_damage()), "cut at {cut}");
    }
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(loaded(&bytes).is_err(), "bit {bit} went unnoticed");
    }
    assert_eq!(loaded(&good).unwrap(), head);
    assert!(matches!(loaded(b"\x89PNG"), Err(HeadFileError::NotAHead { .. })));
    assert!(matches!(loaded(b""), Err(HeadFileError::NotAHead { .. })));
    // A later program's file is whole: its checksum is right.
    let mut newer = good[..good.len() - 4].to_vec();
    newer[8] = 2;
    newer.extend_from_slice(&crc32fast::hash(&newer).to_le_bytes());
    assert!(matches!(loaded(&newer), Err(HeadFileError::NewerVersion { found: 2, .. })));
}
