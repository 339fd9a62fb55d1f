//! Which values of a grey image are black and white: rescale, window, percentiles. PS3.3 sections C.11.1 and C.11.2.

use super::super::range::ValueRange;
use super::super::refusal::Refusal;
use super::elements::Elements;
use super::header::refused;
use super::tags;

/// How a window maps values inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Function {
    Linear,
    LinearExact,
    Sigmoid,
}

/// One window of a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    centre: f64,
    width: f64,
    function: Function,
}

impl Window {
    /// From 0, black, to 1, white. Equation C.11-1, C.11-2 or C.11-3 of PS3.3.
    pub fn level(&self, value: f64) -> f64 {
        let Self { centre, width, function } = *self;
        let level = match function {
            // A width of 1 is a threshold.
            Function::Linear if width <= 1.0 => {
                if value <= centre - 0.5 {
                    0.0
                } else {
                    1.0
                }
            }
            Function::Linear => (value - (centre - 0.5)) / (width - 1.0) + 0.5,
            Function::LinearExact => (value - centre) / width + 0.5,
            Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - centre) / width).exp()),
        };
        level.clamp(0.0, 1.0)
    }
}

/// The mapping from stored samples to values, and the window of the file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Display {
    pub slope: f64,
    pub intercept: f64,
    pub window: Option<Window>,
}

impl Display {
    /// Reads the elements of the file, or else those in the functional groups of a frame.
    pub fn read(elements: &Elements<'_>, of_frame: &Elements<'_>) -> Result<Self, Refusal> {
        if elements.bytes(tags::MODALITY_LUT).is_some() {
            return Err(format!("a table of values, {}, is not supported", tags::MODALITY_LUT).into());
        }
        let decimal = |tag| Ok::<_, Refusal>(elements.decimal(tag)?.or(of_frame.decimal(tag)?));
        let (slope, intercept) = (decimal(tags::SLOPE)?.unwrap_or(1.0), decimal(tags::INTERCEPT)?.unwrap_or(0.0));
        if slope == 0.0 {
            return Err(refused(tags::SLOPE, slope, "a number other than 0"));
        }
        let function = elements.text(tags::WINDOW_FUNCTION)?.or(of_frame.text(tags::WINDOW_FUNCTION)?);
        let function = match function.unwrap_or("LINEAR") {
            "LINEAR" => Function::Linear,
            "LINEAR_EXACT" => Function::LinearExact,
            "SIGMOID" => Function::Sigmoid,
            _ => return Err(format!("{} has an unknown value", tags::WINDOW_FUNCTION).into()),
        };
        let window = match (decimal(tags::WINDOW_CENTRE)?, decimal(tags::WINDOW_WIDTH)?) {
            (Some(centre), Some(width)) => Some(Window { centre, width, function }),
            _ => None,
        };
        let smallest = if function == Function::Linear { 1.0 } else { f64::MIN_POSITIVE };
        match window.filter(|window| window.width < smallest) {
            Some(Window { width, .. }) => {
                let expected = if function == Function::Linear { "at least 1" } else { "more than 0" };
                Err(refused(tags::WINDOW_WIDTH, width, expected))
            }
            None => Ok(Self { slope, intercept, window }),
        }
    }

    /// The value of a stored sample.
    pub fn value(&self, stored: i64) -> f64 {
        stored as f64 * self.slope + self.intercept
    }

    /// Whether values differ from stored samples.
    pub fn is_rescaled(&self) -> bool {
        self.slope != 1.0 || self.intercept != 0.0
    }
}

/// Shares of values below the 0.5th and the 99.5th percentile.
const PERCENTILES: [f64; 2] = [0.005, 0.995];

/// Positions of the two percentiles among `count` values in ascending order: the first value that at least this share of
/// values does not exceed.
pub(super) fn percentile_places(count: u64) -> [u64; 2] {
    PERCENTILES.map(|share| ((share * count as f64).ceil() as u64).clamp(1, count.max(1)) - 1)
}

/// The range between two percentiles; equal ones are widened.
pub(super) fn percentile_range([low, high]: [f64; 2]) -> Result<ValueRange, Refusal> {
    let high = if high > low { high } else { low + 1.0 };
    ValueRange::new(low, high).map_err(|_| "the rescaled values are too large".into())
}

/// The linear window as a range of values.
///
/// # Errors
/// If the width is less than 1 or a number is not finite.
pub fn range_of_window(centre: f64, width: f64) -> Result<ValueRange, super::super::RangeError> {
    let half = (width - 1.0) / 2.0;
    ValueRange::new(centre - 0.5 - half, centre - 0.5 + half)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_map_as_the_standard_says() {
        let window = |function| Window { centre: 40.0, width: 400.0, function };
        let linear = window(Function::Linear);
        assert_eq!([-160.0, 239.0].map(|value| linear.level(value)), [0.0, 1.0]);
        assert!((linear.level(39.5) - 0.5).abs() < 1e-12);
        let exact = window(Function::LinearExact);
        assert_eq!([-160.0, 40.0, 240.0].map(|value| exact.level(value)), [0.0, 0.5, 1.0]);
        let sigmoid = window(Function::Sigmoid);
        assert_eq!(sigmoid.level(40.0), 0.5);
        assert!((sigmoid.level(140.0) - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-12);
        let threshold = Window { centre: 3.0, width: 1.0, function: Function::Linear };
        assert_eq!([2.0, 2.5, 3.0].map(|value| threshold.level(value)), [0.0, 0.0, 1.0]);
        let range = range_of_window(40.0, 400.0).unwrap();
        for value in -200..300 {
            let level = (linear.level(f64::from(value)) * 255.0).round() as u8;
            assert_eq!(range.to_byte(f64::from(value)), level);
        }
    }

    #[test]
    fn percentiles_are_values_that_occur() {
        assert_eq!(percentile_places(1), [0, 0]);
        assert_eq!(percentile_places(200), [0, 198]);
        assert_eq!(percentile_places(1_000), [4, 994]);
    }
}
