//! The encoder of a device: a blob, or none.

use macula_edge::encoder::{Blob, EncodeError, Encoder, EncoderInfo, FeaturesOnly};
use macula_edge::image::RawImage;

/// A blob, or nothing on a device that takes features only.
#[expect(clippy::large_enum_variant, reason = "it lies in the caller's memory, which has room for the larger one")]
pub(crate) enum AnyEncoder<'b> {
    Blob(Blob<'b>),
    FeaturesOnly(FeaturesOnly),
}

impl AnyEncoder<'_> {
    fn get(&self) -> &dyn Encoder {
        match self {
            Self::Blob(blob) => blob,
            Self::FeaturesOnly(features) => features,
        }
    }
}

impl Encoder for AnyEncoder<'_> {
    fn info(&self) -> EncoderInfo<'_> {
        self.get().info()
    }

    fn encode(&self, pixels: &[u8], arena: &mut [u32], feature: &mut [f32]) -> Result<(), EncodeError> {
        self.get().encode(pixels, arena, feature)
    }

    fn encode_any_size(&self, image: &RawImage<'_>, feature: &mut [f32]) -> Option<Result<(), EncodeError>> {
        self.get().encode_any_size(image, feature)
    }

    fn self_test(&self, work: &mut [u32], feature: &mut [i16]) -> Result<Option<bool>, EncodeError> {
        self.get().self_test(work, feature)
    }
}
