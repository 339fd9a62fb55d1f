//! Encoders in f32 and f16.
