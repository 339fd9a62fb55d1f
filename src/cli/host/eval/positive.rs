//! Numbers greater than 0 on the command line.

/// Parses a finite number greater than 0.
pub fn positive(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if value > 0.0 && value.is_finite() { Ok(value) } else { Err("must be greater than 0".to_owned()) }
}
