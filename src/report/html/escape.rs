//! Escaping of text in HTML and SVG.

use crate::report::text::shown;

/// `text` for the content of an element or for a quoted attribute. Control and invisible characters are made visible
/// ([`shown`]).
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in shown(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_invisible_characters_are_text() {
        assert_eq!(
            escape("<b a='1' c=\"2\">&amp;\u{202e}"),
            "&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp;\\u{202e}"
        );
        assert_eq!(escape("結節, Größe"), "結節, Größe");
    }
}
