//! Maps a grey frame to bytes.

use super::super::range::ValueRange;
use super::super::refusal::Refusal;
use super::super::samples::{RawFacts, SampleKind, unknown_range};
use super::super::{DecodeOptions, WindowChoice};
use super::elements::Elements;
use super::header::{Colour, Header, SampleLayout};
use super::tags;
use super::unpack::Stored;
use super::window::{Display, Window, percentile_places, percentile_range};

/// What the values of black and white are.
enum Tone {
    Window(Window),
    Range(ValueRange),
}

impl Tone {
    fn byte(&self, value: f64) -> u8 {
        match self {
            Self::Window(window) => (window.level(value) * 255.0).round() as u8,
            Self::Range(range) => range.to_byte(value),
        }
    }
}

/// The bytes of the frame, and facts about its values.
pub(super) fn read(
    header: &Header,
    stored: &Stored<'_>,
    elements: &Elements<'_>,
    display: Display,
    options: &DecodeOptions,
) -> Result<(Vec<u8>, RawFacts), Refusal> {
    let layout = stored.layout;
    let values = Values::count(stored, header.count());
    let ends = values.ends(layout).map(|stored| display.value(stored));
    let is_small = !layout.is_signed && header.layout.stored <= 8 && !display.is_rescaled();
    let kind = match (layout.is_signed, display.slope.fract() == 0.0 && display.intercept.fract() == 0.0) {
        (false, true) if !display.is_rescaled() => SampleKind::Unsigned,
        (_, true) => SampleKind::Signed,
        (_, false) => SampleKind::Float,
    };
    let bits = if kind == SampleKind::Unsigned { header.layout.stored.max(8) } else { header.layout.stored };
    let (low, high) = (ends[0].min(ends[1]), ends[0].max(ends[1]));
    let facts = RawFacts { kind, bits, low, high, has_window: !is_small };
    let stated = options.range.filter(|_| !is_small);
    if options.needs_range && stated.is_none() && !is_small && !options.measure {
        return Err(unknown_range(&facts).into());
    }
    let tone = match (stated, options.window, display.window) {
        (Some(range), _, _) => Tone::Range(range),
        (None, WindowChoice::File, Some(window)) => Tone::Window(window),
        (None, WindowChoice::File, None) if is_small => {
            Tone::Range(ValueRange { low: 0.0, high: ((1u32 << header.layout.stored) - 1).into() })
        }
        _ => Tone::Range(values.percentiles(layout, &display, padding(elements, layout))?),
    };
    let is_inverted = header.colour == Colour::InvertedGrey;
    let byte = |container: u32| {
        let byte = tone.byte(display.value(layout.value(container)));
        if is_inverted { 255 - byte } else { byte }
    };
    let count = header.count();
    let pixels = match values {
        Values::Counts(counts) => {
            let table: Vec<u8> = (0u32..).zip(&counts).map(|(of, n)| if *n > 0 { byte(of) } else { 0 }).collect();
            (0..count).map(|index| table[stored.container(index) as usize]).collect()
        }
        Values::Keys(_) => (0..count).map(|index| byte(stored.container(index))).collect(),
    };
    Ok((pixels, facts))
}

/// Stored samples that pad an image to a rectangle, as the inclusive range of their values.
fn padding(elements: &Elements<'_>, layout: SampleLayout) -> Option<[i64; 2]> {
    let value = |tag| {
        let short = elements.short(tag)?;
        Some(if layout.is_signed { i64::from(short as i16) } else { i64::from(short) })
    };
    let first = value(tags::PADDING)?;
    let last = value(tags::PADDING_LIMIT).unwrap_or(first);
    Some([first.min(last), first.max(last)])
}

/// All samples of a frame, without their places.
enum Values {
    /// How often each container of up to 16 bits occurs.
    Counts(Vec<u32>),
    /// 32-bit samples, as numbers in the same order.
    Keys(Vec<u32>),
}

/// What a signed sample and its key differ by.
fn key_offset(layout: SampleLayout) -> i64 {
    if layout.is_signed { 1 << 31 } else { 0 }
}

impl Values {
    fn count(stored: &Stored<'_>, count: usize) -> Self {
        let layout = stored.layout;
        if layout.allocated == 32 {
            let key = |index| (layout.value(stored.container(index)) + key_offset(layout)) as u32;
            return Self::Keys((0..count).map(key).collect());
        }
        let mut counts = vec![0; 1 << layout.allocated];
        (0..count).for_each(|index| counts[stored.container(index) as usize] += 1);
        Self::Counts(counts)
    }

    /// The smallest and the largest stored sample.
    fn ends(&self, layout: SampleLayout) -> [i64; 2] {
        let ends = |values: &mut dyn Iterator<Item = i64>| {
            values.fold([i64::MAX, i64::MIN], |[low, high], value| [low.min(value), high.max(value)])
        };
        match self {
            Self::Counts(counts) => {
                let occurring = (0u32..).zip(counts).filter(|(_, count)| **count > 0);
                ends(&mut occurring.map(|(container, _)| layout.value(container)))
            }
            Self::Keys(keys) => ends(&mut keys.iter().map(|key| i64::from(*key) - key_offset(layout))),
        }
    }

    /// The range between the percentiles of values that are no padding, or of all if there are no others.
    fn percentiles(
        &self,
        layout: SampleLayout,
        display: &Display,
        padding: Option<[i64; 2]>,
    ) -> Result<ValueRange, Refusal> {
        let is_padding = |value: i64| padding.is_some_and(|[first, last]| (first..=last).contains(&value));
        let found = match self {
            Self::Counts(counts) => {
                let mut occurring: Vec<(i64, u64)> = (0u32..)
                    .zip(counts)
                    .filter(|(_, count)| **count > 0)
                    .map(|(container, count)| (layout.value(container), u64::from(*count)))
                    .collect();
                if occurring.iter().any(|(value, _)| !is_padding(*value)) {
                    occurring.retain(|(value, _)| !is_padding(*value));
                }
                occurring.sort_unstable_by_key(|(value, _)| *value);
                if display.slope < 0.0 {
                    occurring.reverse();
                }
                let total = occurring.iter().map(|(_, count)| count).sum();
                percentile_places(total).map(|place| {
                    let mut up_to = 0;
                    let at = occurring.iter().find(|(_, count)| {
                        up_to += count;
                        up_to > place
                    });
                    at.map_or(0, |(value, _)| *value)
                })
            }
            Self::Keys(keys) => {
                let value = |key: u32| i64::from(key) - key_offset(layout);
                let mut keys: Vec<u32> = keys.iter().copied().filter(|key| !is_padding(value(*key))).collect();
                if keys.is_empty() {
                    return self.percentiles(layout, display, None);
                }
                let count = keys.len();
                percentile_places(count as u64).map(|place| {
                    let place = if display.slope < 0.0 { count - 1 - place as usize } else { place as usize };
                    value(*keys.select_nth_unstable(place).1)
                })
            }
        };
        percentile_range(found.map(|stored| display.value(stored)))
    }
}
