//! Axes: their range and their ticks at round values.

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Quantity and unit.
    pub label: String,
    /// Whether the scale is logarithmic; all values are then above 0.
    pub logarithmic: bool,
    /// Whether values between whole numbers have no meaning, as with epochs.
    whole: bool,
    /// The range; that of the values if `None`.
    range: Option<(f64, f64)>,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), logarithmic: false, whole: false, range: None }
    }

    /// A logarithmic axis.
    pub fn logarithmic(label: &str) -> Self {
        Self { logarithmic: true, ..Self::linear(label) }
    }

    /// A linear axis of whole numbers.
    pub fn whole(label: &str) -> Self {
        Self { whole: true, ..Self::linear(label) }
    }

    /// The same axis from `low` to `high`, whatever the values are.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { range: Some((low, high)), ..self }
    }

    /// The position of `value` on the axis, before scaling: its logarithm on a logarithmic axis.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.logarithmic { value.log10() } else { value }
    }

    /// The range and the ticks for `values`, which are finite and not empty; about `ticks` of them.
    pub(super) fn scale(&self, values: &[f64], ticks: usize) -> Scale {
        let (low, high) = self.range.unwrap_or_else(|| {
            values
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &value| (low.min(value), high.max(value)))
        });
        let (mut from, mut to) = (self.place(low), self.place(high));
        if self.range.is_none() {
            // A margin, so that a single value also has a range.
            let margin = match to - from {
                0.0 if self.logarithmic => 0.2,
                0.0 => (to.abs() * 0.1).max(if self.whole { 0.5 } else { 1e-3 }),
                span => 0.04 * span,
            };
            (from, to) = (from - margin, to + margin);
        }
        let values =
            if self.logarithmic { self.log_ticks(values, from, to, ticks) } else { self.ticks(from, to, ticks) };
        let ticks = values.into_iter().map(|(value, text)| (self.place(value), text)).collect();
        Scale { from, to, ticks }
    }

    /// Ticks at multiples of 1, 2 or 5 times a power of ten.
    fn ticks(&self, from: f64, to: f64, about: usize) -> Vec<(f64, String)> {
        let raw = (to - from) / about as f64;
        let power = 10f64.powf(raw.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= 0.75 * raw).unwrap_or(10.0);
        let step = if self.whole { (factor * power).max(1.0) } else { factor * power };
        // The indices are few: the range is at most `about` steps.
        let indices = ((from / step - 1e-9).ceil() as i64)..=((to / step + 1e-9).floor() as i64);
        indices.map(|index| index as f64 * step).map(|value| (value, number(value, step))).collect()
    }

    /// Ticks at the values themselves if they are few and round whole numbers, else at 1, 2 and 5 times powers of ten, else at powers of ten.
    fn log_ticks(&self, values: &[f64], from: f64, to: f64, about: usize) -> Vec<(f64, String)> {
        let labelled = |value: f64| (value, short(value));
        let mut distinct = values.to_vec();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let is_round = |&value: &f64| value.fract() == 0.0 && short(value).parse::<f64>() == Ok(value);
        let apart = |pair: &[f64]| self.place(pair[1]) - self.place(pair[0]) >= 0.5 * (to - from) / (about + 3) as f64;
        if (2..=about + 3).contains(&distinct.len()) && distinct.iter().all(is_round) && distinct.windows(2).all(apart)
        {
            return distinct.into_iter().map(labelled).collect();
        }
        let (first, last) = (from.floor() as i32, to.ceil() as i32);
        let within = |value: &f64| (from..=to).contains(&value.log10());
        let at = |factors: &[f64]| -> Vec<f64> {
            let powers = (first..=last).flat_map(|power| factors.iter().map(move |factor| factor * 10f64.powi(power)));
            powers.filter(within).collect()
        };
        let fine: Vec<f64> = at(&[1.0, 2.0, 5.0]);
        let mut found = if (2..=about + 3).contains(&fine.len()) { fine } else { at(&[1.0]) };
        if found.len() < 2 {
            // Less than a decade: linear ticks are round too.
            let (low, high) = (10f64.powf(from), 10f64.powf(to));
            return self.ticks(low, high, about).into_iter().filter(|(value, _)| *value > 0.0).collect();
        }
        let every = found.len().div_ceil(about + 3);
        found = found.into_iter().step_by(every).collect();
        found.into_iter().map(labelled).collect()
    }
}

/// The range of an axis and its ticks, in places.
pub(super) struct Scale {
    pub from: f64,
    pub to: f64,
    /// Place and text.
    pub ticks: Vec<(f64, String)>,
}

impl Scale {
    /// Where `place` lies between both ends, 0 to 1.
    pub fn share(&self, place: f64) -> f64 {
        (place - self.from) / (self.to - self.from)
    }
}

/// A multiple of `step`, with the decimals that `step` needs.
fn number(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e6).contains(&step) && (value.abs() < 1e-3 || value.abs() >= 1e6) {
        return scientific(value);
    }
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 9.0) as usize;
    format!("{value:.decimals$}")
}

/// A value in three significant digits.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if !(1e-3..1e5).contains(&size) => scientific(value),
        size => {
            let decimals = (2.0 - size.log10().floor()).clamp(0.0, 5.0) as usize;
            let text = format!("{value:.decimals$}");
            match text.contains('.') {
                true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
                false => text,
            }
        }
    }
}

fn scientific(value: f64) -> String {
    let text = format!("{value:.2e}");
    match text.split_once('e') {
        Some((mantissa, power)) if mantissa.contains('.') => {
            format!("{}e{power}", mantissa.trim_end_matches('0').trim_end_matches('.'))
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(axis: &Axis, values: &[f64]) -> Vec<String> {
        axis.scale(values, 5).ticks.into_iter().map(|tick| tick.1).collect()
    }

    #[test]
    fn logarithmic_ticks_are_the_values_or_round() {
        let axis = Axis::logarithmic("shots");
        assert_eq!(texts(&axis, &[5.0, 10.0, 20.0, 50.0]), ["5", "10", "20", "50"]);
        assert_eq!(texts(&axis, &[1.0, 5.0, 20.0]), ["1", "5", "20"]);
        assert_eq!(texts(&axis, &[0.123_456, 1.234_56, 20.17]), ["0.2", "0.5", "1", "2", "5", "10", "20"]);
        assert_eq!(texts(&axis, &[1e-5, 3.3e-3, 0.9]), ["1e-5", "1e-4", "0.001", "0.01", "0.1", "1"]);
        assert_eq!(texts(&axis, &[21.1, 38.7]), ["25", "30", "35"]);
    }

    #[test]
    fn linear_ticks_are_round_and_in_range() {
        let axis = Axis::linear("loss");
        assert_eq!(texts(&axis, &[0.013, 0.987]), ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(texts(&axis, &[2.0, 2.004]), ["2.000", "2.001", "2.002", "2.003", "2.004"]);
        assert_eq!(texts(&Axis::whole("epoch"), &[1.0, 3.0]), ["1", "2", "3"]);
        assert_eq!(texts(&Axis::whole("epoch"), &[1.0, 100.0]), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!(texts(&Axis::linear("rate").within(0.0, 1.0), &[0.3]).len(), 6);
        assert_eq!(
            texts(&Axis::linear("rate"), &[0.0, 3e-5]),
            ["0", "5e-6", "1e-5", "1.5e-5", "2e-5", "2.5e-5", "3e-5"]
        );
        for values in [&[0.5][..], &[0.0], &[-3.0], &[7e8], &[1e-12]] {
            assert!((1..12).contains(&texts(&axis, values).len()), "{values:?}");
        }
    }

    #[test]
    fn short_numbers_have_three_digits() {
        for (value, text) in
            [(5.0, "5"), (0.05, "0.05"), (1234.0, "1234"), (0.333_333, "0.333"), (2.5e-4, "2.5e-4"), (3e7, "3e7")]
        {
            assert_eq!(short(value), text);
        }
    }
}
