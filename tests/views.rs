//! Views are the same bytes in every version, because results are reproducible only with the same views.
//!
//! The hashes are from the first, plain implementation of each augmentation. Changing one changes every result that was
//! trained with it. Sines and exponentials are the C library's, so the hashes hold where it rounds in the same way.

use macula::augment::{Augmentation, Blur, CutOut, Jitter, Noise, Policy, flip_horizontal, gaussian_blur, rotate};
use macula::data::Image;
use macula::rng::Rng;
use sha2::{Digest, Sha256};

/// Views hashed per image: enough that every random choice occurs both ways.
const VIEWS: u64 = 32;

/// Bright and dark blobs with noise, which blur, crop and colour all change.
fn image(width: usize, height: usize, channels: usize) -> Image {
    let mut rng = Rng::for_item(1, "test image", width as u64, (height * channels) as u64);
    let value = |at: usize, rng: &mut Rng| {
        let (x, y, channel) = (at / channels % width, at / channels / width, at % channels);
        let blob = 100 * usize::from((x / 5 + y / 7 + channel).is_multiple_of(2));
        (blob + rng.below(156)) as u8
    };
    let pixels = (0..width * height * channels).map(|at| value(at, &mut rng)).collect();
    Image { width, height, channels, pixels }
}

/// The first eight bytes of the SHA-256 of `view` on the streams 0, 1, 2, …
fn hash(view: impl Fn(&mut Rng) -> Image) -> String {
    let mut hash = Sha256::new();
    for index in 0..VIEWS {
        let view = view(&mut Rng::for_item(7, "augment", 2, index));
        hash.update([view.width as u8, view.height as u8, view.channels as u8]);
        hash.update(&view.pixels);
    }
    base16ct::lower::encode_string(&hash.finalize()[..8])
}

fn compare(found: &[(String, String)], expected: &[(&str, &str)]) {
    let found: Vec<(&str, &str)> = found.iter().map(|(name, hash)| (name.as_str(), hash.as_str())).collect();
    assert_eq!(found, expected);
}

#[test]
fn views_of_each_policy_have_not_changed() {
    let mut found = Vec::new();
    for policy in Policy::ALL {
        for (size, channels) in [(28, 1), (28, 3), (32, 1), (32, 3), (64, 1), (64, 3)] {
            let (augmentation, image) = (policy.augmentation(size), image(size, size, channels));
            let name = format!("{policy:?} {channels}×{size}×{size}");
            found.push((name, hash(|rng| augmentation.apply(&image, rng))));
        }
    }
    compare(
        &found,
        &[
            ("None 1×28×28", "801f52dd43f97c55"),
            ("None 3×28×28", "d49cb36da55694be"),
            ("None 1×32×32", "5774f766fdca4108"),
            ("None 3×32×32", "c3291525b3b8d588"),
            ("None 1×64×64", "204119c2a96af66d"),
            ("None 3×64×64", "da0996854eb90f47"),
            ("Light 1×28×28", "c82e5dbaf1736416"),
            ("Light 3×28×28", "4b50efab12a74487"),
            ("Light 1×32×32", "50a05182a3974d59"),
            ("Light 3×32×32", "f41e6fa257a4ce73"),
            ("Light 1×64×64", "eb063d840dbeb5de"),
            ("Light 3×64×64", "03763cdb365101f4"),
            ("Natural 1×28×28", "bae25267ed58f28e"),
            ("Natural 3×28×28", "a602d84882caa4ac"),
            ("Natural 1×32×32", "f723e9035e785ffd"),
            ("Natural 3×32×32", "afed67af3dba5f0a"),
            ("Natural 1×64×64", "9e12a64c4f88f5f4"),
            ("Natural 3×64×64", "fb26b55c7583b92e"),
            ("Medical 1×28×28", "d2793ee931a16f0c"),
            ("Medical 3×28×28", "c79d51ae66dfc8f0"),
            ("Medical 1×32×32", "bb2489faf15be26e"),
            ("Medical 3×32×32", "50aaabc56470489e"),
            ("Medical 1×64×64", "def8c8b72ae7e51b"),
            ("Medical 3×64×64", "7b785c39dc014d07"),
            ("Centred 1×28×28", "6aaec68da0824fd3"),
            ("Centred 3×28×28", "64a3cf14efe8b8c6"),
            ("Centred 1×32×32", "7ce1769fbbc56cf9"),
            ("Centred 3×32×32", "f0b36e14271b6720"),
            ("Centred 1×64×64", "ed32ef6d8c68d49a"),
            ("Centred 3×64×64", "db0b1adbabc19294"),
        ],
    );
}

/// Augmentations that no policy uses, at sizes that are not square or smaller than their parameters.
#[test]
fn other_augmentations_have_not_changed() {
    let every = Augmentation {
        flip: true,
        crop_padding: 9,
        quarter_turns: true,
        turn_degrees: 180.0,
        crop_area_min: 0.01,
        jitter: Jitter { probability: 0.9, brightness: 1.0, contrast: 1.0, saturation: 1.0, hue: 0.5 },
        grey_probability: 0.3,
        blur: Blur { probability: 0.7, sigma_min: 0.1, sigma_max: 6.0 },
        noise: Noise { probability: 0.7, std_max: 80.0 },
        cut_out: CutOut { probability: 0.7, side: 0.5 },
    };
    let mut found = Vec::new();
    for (width, height, channels) in [(1, 1, 1), (5, 3, 3), (17, 40, 3), (33, 20, 1), (24, 24, 3), (31, 31, 1)] {
        let image = image(width, height, channels);
        let mut record = |what: &str, view: &dyn Fn(&mut Rng) -> Image| {
            found.push((format!("{what} {channels}×{height}×{width}"), hash(view)));
        };
        record("every", &|rng| every.apply(&image, rng));
        record("turn", &|rng| rotate(&image, rng.uniform_in(-400.0, 400.0)));
        record("flip", &|_| flip_horizontal(&image));
        record("blur", &|rng| {
            let mut blurred = image.clone();
            gaussian_blur(&mut blurred, rng.uniform_in(0.05, 20.0));
            blurred
        });
    }
    compare(
        &found,
        &[
            ("every 1×1×1", "b8cbe2a326d63f00"),
            ("turn 1×1×1", "53aa2be730651b5f"),
            ("flip 1×1×1", "53aa2be730651b5f"),
            ("blur 1×1×1", "53aa2be730651b5f"),
            ("every 3×3×5", "8d09c66aef091450"),
            ("turn 3×3×5", "a9838bcd580d1d54"),
            ("flip 3×3×5", "151b45cdf56b6b56"),
            ("blur 3×3×5", "899baf9477b98cb8"),
            ("every 3×40×17", "889f3ee7d1f1dfad"),
            ("turn 3×40×17", "13e3257d0b58b129"),
            ("flip 3×40×17", "aaa8d7d6a5d91669"),
            ("blur 3×40×17", "e44980f039e3989b"),
            ("every 1×20×33", "fd711414e60c2d32"),
            ("turn 1×20×33", "da5ff774017c9dd8"),
            ("flip 1×20×33", "91e628a0985ce408"),
            ("blur 1×20×33", "84b81ddda8924887"),
            ("every 3×24×24", "e560b0566acab6dc"),
            ("turn 3×24×24", "8cb3044c2a7081f9"),
            ("flip 3×24×24", "9359ec66c5db6950"),
            ("blur 3×24×24", "78587283d6bcba3e"),
            ("every 1×31×31", "3e9a278541599528"),
            ("turn 1×31×31", "0424bba737ae7c72"),
            ("flip 1×31×31", "2f59703a46e2c43c"),
            ("blur 1×31×31", "48ff5d5baa40970a"),
        ],
    );
}
