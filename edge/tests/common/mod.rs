//! What the tests of the heads share: memory for one, and features from a small generator.
// Each test binary uses its own part of this file.
#![allow(dead_code)]

pub mod blob;

use macula_edge::feature;
use macula_edge::head::{ClassSums, Gaussian};

/// Memory of a head with products.
pub struct Memory {
    dim: usize,
    counts: Vec<u32>,
    sums: Vec<i64>,
    products: Vec<i64>,
}

impl Memory {
    pub fn new(dim: usize, classes: usize) -> Self {
        // Rubbish, so that a head which forgets to clear its memory is found out.
        Self {
            dim,
            counts: vec![3; classes],
            sums: vec![-5; ClassSums::sums_len(dim, classes)],
            products: vec![9; ClassSums::products_len(dim)],
        }
    }

    pub fn empty(&mut self) -> ClassSums<'_> {
        ClassSums::empty(self.dim, &mut self.counts, &mut self.sums, &mut self.products).unwrap()
    }
}

pub fn scratch(dim: usize, classes: usize) -> Vec<f64> {
    vec![f64::NAN; Gaussian::scratch_len(dim, classes)]
}

pub fn state(sums: &ClassSums<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    sums.state(|piece| bytes.extend_from_slice(piece));
    bytes
}

/// A small generator in integer arithmetic (Marsaglia 2003, xorshift64), the same on every CPU.
pub struct Xorshift(pub u64);

impl Xorshift {
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// About normal: the sum of four uniform numbers, mean 0, variance 1/3 · 4 / 4.
    pub fn value(&mut self) -> f32 {
        (0..4).map(|_| (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0).sum::<f32>() * 0.5
    }

    /// A quantised feature whose direction leans towards `class`, with correlated dimensions.
    pub fn feature(&mut self, dim: usize, class: usize) -> Vec<i16> {
        let shared = self.value();
        let values: Vec<f32> =
            (0..dim).map(|i| self.value() + shared * (i % 3) as f32 + if i % 5 == class { 1.5 } else { 0.0 }).collect();
        let mut quantised = vec![0; dim];
        feature::quantise(&values, None, &mut quantised).unwrap();
        quantised
    }
}
