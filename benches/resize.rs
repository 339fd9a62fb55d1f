//! Resize from 224×224 and 1024×1024 to 64×64: the device's integer code and the image crate's f32.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma, Rgb};
use macula::data::{self, Image, Preprocessing};

const SIDE: usize = 64;

fn resize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("resize to 64²");
    for side in [224, 1024] {
        let phantoms = data::open_named(&format!("phantoms:{side}:4"), 1).expect("phantoms are drawn");
        let grey = phantoms.load(0).expect("phantoms are drawn");
        let recipe = |channels| Preprocessing::unit(channels, SIDE, SIDE);
        group.bench_function(BenchmarkId::new("grey, macula", side), |b| {
            b.iter(|| recipe(1).to_pixels(black_box(&grey)))
        });
        group.bench_function(BenchmarkId::new("grey, image crate", side), |b| b.iter(|| other_grey(black_box(&grey))));
        let colour = grey.to_rgb();
        group.bench_function(BenchmarkId::new("colour, macula", side), |b| {
            b.iter(|| recipe(3).to_pixels(black_box(&colour)));
        });
        group.bench_function(BenchmarkId::new("colour, image crate", side), |b| {
            b.iter(|| other_colour(black_box(&colour)));
        });
    }
    group.finish();
}

fn other_grey(image: &Image) -> Vec<u8> {
    let (width, height) = (image.width as u32, image.height as u32);
    let buffer = ImageBuffer::<Luma<u8>, _>::from_raw(width, height, image.pixels.as_slice()).expect("whole image");
    imageops::resize(&buffer, SIDE as u32, SIDE as u32, FilterType::Triangle).into_raw()
}

fn other_colour(image: &Image) -> Vec<u8> {
    let (width, height) = (image.width as u32, image.height as u32);
    let buffer = ImageBuffer::<Rgb<u8>, _>::from_raw(width, height, image.pixels.as_slice()).expect("whole image");
    imageops::resize(&buffer, SIDE as u32, SIDE as u32, FilterType::Triangle).into_raw()
}

criterion_group!(benches, resize);
criterion_main!(benches);
