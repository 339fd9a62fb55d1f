//! Amounts of memory on the command line: `64MiB`, `1.5GiB`, `800MB`.

/// Units with their bytes.
const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

/// Most bytes: 1 TiB.
const BYTES_MAX: f64 = (1u64 << 40) as f64;

/// The bytes of `text`, a number with a unit; upper and lower case do not matter.
pub fn byte_size(text: &str) -> Result<usize, String> {
    let wrong = || format!("'{text}' is not an amount of memory of 1 B to 1 TiB, such as 64MiB, 1.5GiB or 800MB");
    let lower = text.trim().to_ascii_lowercase();
    let found = UNITS.iter().find_map(|(unit, bytes)| Some((lower.strip_suffix(&unit.to_ascii_lowercase())?, *bytes)));
    let (number, bytes) = found.ok_or_else(wrong)?;
    let number = number.trim_end();
    let is_plain = number.starts_with(|first: char| first.is_ascii_digit())
        && number.chars().all(|digit| digit.is_ascii_digit() || digit == '.');
    let size = number.parse::<f64>().ok().filter(|_| is_plain).map(|number| number * bytes as f64);
    size.filter(|size| (1.0..=BYTES_MAX).contains(size)).map(|size| size as usize).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_a_unit() {
        for (text, bytes) in [
            ("64MiB", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("800MB", 800_000_000),
            ("800 mb", 800_000_000),
            ("2kB", 2_000),
            ("3KiB", 3 << 10),
            ("17B", 17),
            ("1024GiB", 1 << 40),
        ] {
            assert_eq!(byte_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "", "64", "MiB", "-1MiB", "+1MiB", "1e3MiB", "infGB", "nanMB", "0MiB", "0.1B", "1.5.1MiB", "64Mi",
            "1025GiB", "64 TiB",
        ] {
            assert!(byte_size(text).is_err_and(|message| message.contains(text)), "{text}");
        }
    }
}
