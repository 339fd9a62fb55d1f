//! The document: head, title, sections.

use std::fmt::Write;

use super::escape::escape;
use super::parts::Html;
use crate::report::chart;

/// The style sheet of all reports; the colours are those of the page (`web/src/style/tokens.css`).
const STYLE: &str = include_str!("style.css");

/// An HTML document.
pub struct Document {
    title: String,
    lead: Html,
    sections: Vec<(String, Html)>,
}

impl Document {
    /// An empty document; `lead` is shown below the title.
    pub fn new(title: &str, lead: Html) -> Self {
        Self { title: title.to_owned(), lead, sections: Vec::new() }
    }

    /// Adds a section, unless it is empty.
    pub fn section(&mut self, title: &str, content: Html) {
        if !content.is_empty() {
            self.sections.push((title.to_owned(), content));
        }
    }

    /// The bytes of the file, UTF-8.
    pub fn html(&self) -> String {
        let title = escape(&self.title);
        let mut html = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <meta name=\"generator\" content=\"macula {}\"><meta name=\"color-scheme\" content=\"light dark\">\
             <title>{title}</title><link rel=\"icon\" href=\"data:,\"><style>{STYLE}{}</style></head>\n\
             <body><main><header><h1>{title}</h1>{}</header>\n",
            env!("CARGO_PKG_VERSION"),
            chart::css(),
            self.lead.as_str()
        );
        for (title, content) in &self.sections {
            let _ = writeln!(html, "<section><h2>{}</h2>{}</section>", escape(title), content.as_str());
        }
        let _ =
            writeln!(html, "<footer>Written by macula {}.</footer></main></body></html>", env!("CARGO_PKG_VERSION"));
        html
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::html::text;

    #[test]
    fn a_document_is_complete_and_asks_nobody() {
        let mut document = Document::new("run <1>", text("a & b"));
        document.section("Loss", text("1"));
        document.section("Nothing", Html::default());
        let html = document.html();
        assert!(html.starts_with("<!doctype html>") && html.trim_end().ends_with("</html>"));
        assert!(html.contains("<h1>run &lt;1&gt;</h1><p>a &amp; b</p>") && html.contains("<h2>Loss</h2>"));
        assert!(!html.contains("Nothing"), "an empty section is left out");
        for forbidden in ["<script", "http://", "https://", "url(", "@import"] {
            assert!(!html.contains(forbidden), "{forbidden}");
        }
        assert!(html.contains("prefers-color-scheme:dark") && html.contains("default-src 'none'"));
    }
}
