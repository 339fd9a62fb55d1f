//! From raw pixels to network input, one recipe for training, evaluation, export and device.

/// How an image is brought to the network's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResizeFilter {
    /// Linear interpolation whose support widens when shrinking, as in Pillow's `BILINEAR`.
    Triangle,
}

/// The recipe: to `channels` (grey by BT.601 luma, colour by repeating grey), to
/// `width` × `height` (stretched), then `(value / 255 - mean) / std` for each channel.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Preprocessing {
    /// 1 or 3.
    pub channels: usize,
    /// Rows of the network's input.
    pub height: usize,
    /// Columns of the network's input.
    pub width: usize,
    /// How sizes are matched.
    pub filter: ResizeFilter,
    /// One a channel, in units of full scale (0 to 1).
    pub mean: Vec<f32>,
    /// One a channel, in units of full scale, greater than 0.
    pub std: Vec<f32>,
}
