//! Sources and bytes in hexadecimal digits.

use macula_edge::support_set::SourceId;

use super::error::{ApiError, ErrorKind};

/// The source with these 32 digits.
///
/// # Errors
/// If they are not 32 hexadecimal digits.
pub fn parse_source(digits: &str) -> Result<SourceId, ApiError> {
    let mut source = SourceId::default();
    match base16ct::mixed::decode(digits, &mut source) {
        Ok(decoded) if decoded.len() == size_of::<SourceId>() => Ok(source),
        _ => Err(ApiError::new(ErrorKind::Input, format!("'{digits}' is no source: expected 32 hexadecimal digits"))),
    }
}

/// The bytes with these digits.
///
/// # Errors
/// If they are not an even number of hexadecimal digits.
pub fn parse_hexadecimal(digits: &str) -> Result<Vec<u8>, ApiError> {
    base16ct::mixed::decode_vec(digits)
        .map_err(|_| ApiError::new(ErrorKind::Input, "expected an even number of hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_sources_are_read() {
        assert_eq!(
            parse_source(&"0aF0".repeat(8)).unwrap(),
            *b"\x0a\xf0\x0a\xf0\x0a\xf0\x0a\xf0\x0a\xf0\x0a\xf0\x0a\xf0\x0a\xf0"
        );
        for digits in ["", "00", &"0".repeat(31), &"0".repeat(34), &"g".repeat(32), "../../../../../../../etc/passwd0"]
        {
            assert_eq!(parse_source(digits).unwrap_err().kind, ErrorKind::Input, "{digits}");
        }
    }
}
