//! Text for terminals: escaping of foreign text (file names, labels, class names), width, numbers, dates.

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use unicode_width::UnicodeWidthStr;

/// `text` on one line: control characters, line separators, bidirectional marks and invisible characters are escaped, as
/// `\n` or `\u{202e}`. Letters of any script, accents and spaces are unchanged.
pub fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, |_| false)
}

/// [`shown`] for a path.
pub fn shown_path(path: &Path) -> String {
    shown(&path.to_string_lossy()).into_owned()
}

/// As [`shown`], but line feeds and tabs are unchanged.
pub fn fenced(text: &str) -> Cow<'_, str> {
    escaped(text, |c| matches!(c, '\n' | '\t'))
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    let is_plain = |c: char| stays(c) || is_visible(c);
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_plain(c) {
            true => safe.push(c),
            // Standard escapes if there are any. `escape_debug` does not escape letters, and some of them are fillers.
            false if c.is_ascii_control() => safe.extend(c.escape_debug()),
            false => safe.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(safe)
}

/// Whether a terminal shows `c` as a visible character in place.
fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    if c.is_whitespace() {
        // Spaces of other scripts, except line separators (U+0085, U+2028, U+2029).
        return !matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}');
    }
    // `char::escape_debug` escapes accents, which are printable after another character.
    let mut bytes = [0; 5];
    bytes[0] = b'a';
    let len = 1 + c.encode_utf8(&mut bytes[1..]).len();
    let pair = std::str::from_utf8(&bytes[..len]).unwrap_or("\0");
    // A character that is not escaped has an escape of length 1. Hangul fillers are letters without a glyph.
    pair.escape_debug().count() == 2 && !matches!(c, '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}')
}

/// Width of `text` in terminal columns: two for wide characters, none for accents.
pub fn width(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// [`shown`] text, padded with spaces to `columns`.
pub fn left(text: &str, columns: usize) -> String {
    let text = shown(text);
    let spaces = columns.saturating_sub(width(&text));
    format!("{text}{:spaces$}", "")
}

/// Width of the widest of `texts` once [`shown`], at least `least`.
pub fn widest<'t>(texts: impl IntoIterator<Item = &'t str>, least: usize) -> usize {
    texts.into_iter().map(|text| width(&shown(text))).fold(least, usize::max)
}

/// `number` with its noun: `1 sample`, `2 samples`, `0 classes`.
pub fn count(number: impl TryInto<u64>, singular: &str) -> String {
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", noun(number, singular))
}

/// Singular or plural, depending on `number`.
pub fn noun(number: impl TryInto<u64>, singular: &str) -> String {
    match number.try_into() {
        Ok(1) => singular.to_owned(),
        _ if ["s", "x", "tch"].iter().any(|&ending| singular.ends_with(ending)) => format!("{singular}es"),
        _ => format!("{singular}s"),
    }
}

/// A rate to three significant digits with an SI prefix: `0.0421`, `7.83`, `333`, `148 k`.
pub fn rate(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let mut scaled = value;
    for prefix in ["", " k", " M", " G", " T"] {
        // A value that rounds to 1000 gets the next prefix.
        if scaled.abs() < 999.5 || prefix == " T" {
            let decimals = (2 - (scaled.abs() * 1.0005).max(1e-3).log10().floor() as i32).clamp(0, 5) as usize;
            return format!("{scaled:.decimals$}{prefix}");
        }
        scaled /= 1e3;
    }
    unreachable!("the last prefix fits every value")
}

/// Bytes as hexadecimal digits.
pub use base16ct::lower::encode_string as hexadecimal;

/// The last second of the year 9999, the last year of four digits.
const TIME_MAX_S: u64 = 253_402_300_799;

/// Seconds since 1970 as date and time in UTC, to the minute; 0 is `unknown`.
pub fn date(time_s: u64) -> String {
    if time_s == 0 {
        return "unknown".to_owned();
    }
    let time = UNIX_EPOCH + Duration::from_secs(time_s.min(TIME_MAX_S));
    let rfc3339 = humantime::format_rfc3339_seconds(time).to_string();
    format!("{} {} UTC", &rfc3339[..10], &rfc3339[11..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_escaped() {
        for (raw, safe) in [
            ("a\u{1b}[2Jb", "a\\u{1b}[2Jb"),
            ("one\r\ntwo\tthree", "one\\r\\ntwo\\tthree"),
            ("bell\u{7}del\u{7f}c1\u{9b}", "bell\\u{7}del\\u{7f}c1\\u{9b}"),
            ("abc\u{202e}gnp.exe", "abc\\u{202e}gnp.exe"),
            ("\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}", "\\u{2066}\\u{2069}\\u{200e}\\u{200f}\\u{61c}"),
            ("line\u{2028}par\u{2029}nel\u{85}", "line\\u{2028}par\\u{2029}nel\\u{85}"),
            ("zero\u{200b}width\u{feff}tag\u{e0041}soft\u{ad}", "zero\\u{200b}width\\u{feff}tag\\u{e0041}soft\\u{ad}"),
            ("filler\u{3164}", "filler\\u{3164}"),
        ] {
            assert_eq!(shown(raw), safe);
            assert_eq!(shown(safe), safe, "an escape does not change");
        }
        assert_eq!(fenced("two\nlines\tand \u{1b}"), "two\nlines\tand \\u{1b}");
    }

    #[test]
    fn names_in_any_script_do_not_change() {
        let names = [
            "nodule, solid",
            "C:\\scans\\a 'b'.png",
            "Größe",
            "Gro\u{308}ße",
            "結節",
            "узел",
            "عقدة",
            "गाँठ",
            "🫁",
            "a\u{a0}b",
        ];
        for name in names {
            assert!(matches!(shown(name), Cow::Borrowed(same) if same == name), "{name}");
        }
    }

    #[test]
    fn columns_are_counted_as_a_terminal_shows_them() {
        assert_eq!((width("結節"), width("ö"), width("o\u{308}")), (4, 1, 1));
        assert_eq!(left("結節", 6) + "|", "結節  |");
        assert_eq!(left("a\n", 4) + "|", "a\\n |");
        assert_eq!(widest(["結節", "abc"], 2), 4);
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(
            (count(1u32, "sample"), count(0u32, "sample"), count(2usize, "class")),
            ("1 sample".into(), "0 samples".into(), "2 classes".into())
        );
        assert_eq!([count(2, "epoch"), count(2, "batch"), count(1, "batch")], ["2 epochs", "2 batches", "1 batch"]);
    }

    #[test]
    fn rates_have_three_digits() {
        for (value, text) in [
            (332.5617, "333"),
            (0.04213, "0.0421"),
            (7.826, "7.83"),
            (99.96, "100"),
            (148_053.0, "148 k"),
            (999.6, "1.00 k"),
            (1_000_000.0, "1.00 M"),
            (0.0, "0"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(rate(value), text, "{value}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (time_s, expected) in [
            (1, "1970-01-01 00:00 UTC"),
            (951_782_399, "2000-02-28 23:59 UTC"),
            (951_868_800, "2000-03-01 00:00 UTC"),
            (1_709_210_096, "2024-02-29 12:34 UTC"),
            (4_107_542_400, "2100-03-01 00:00 UTC"),
            (u64::MAX, "9999-12-31 23:59 UTC"),
            (0, "unknown"),
        ] {
            assert_eq!(date(time_s), expected);
        }
    }
}
