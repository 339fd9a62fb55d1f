//! Parts of a document. All text is escaped here, so that a document of untrusted names has only our own markup.

use std::fmt::Write;

use super::escape::escape;
use crate::report::table::Table;

/// Markup that is safe to show.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Html(String);

impl Html {
    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The markup.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// This, its parts beside each other.
    #[must_use]
    pub fn in_row(self) -> Self {
        Self(format!("<div class=\"pictures\">{}</div>", self.0))
    }

    /// This, then `other`.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.push_str(&other.0);
        self
    }
}

/// A paragraph.
pub fn text(text: &str) -> Html {
    Html(format!("<p>{}</p>", escape(text)))
}

/// A paragraph that stands out.
pub fn note(text: &str) -> Html {
    Html(format!("<p class=\"note\">{}</p>", escape(text)))
}

/// A list of remarks; nothing if there are none.
pub fn listed(items: &[String]) -> Html {
    let items: String = items.iter().map(|item| format!("<li>{}</li>", escape(item))).collect();
    Html(if items.is_empty() { items } else { format!("<ul>{items}</ul>") })
}

/// Figures with their names: `(name, value, remark)`.
pub fn cards(figures: &[(String, String, String)]) -> Html {
    let card = |(name, value, remark): &(String, String, String)| {
        format!(
            "<div class=\"card\"><dt>{}</dt><dd><b>{}</b><span>{}</span></dd></div>",
            escape(name),
            escape(value),
            escape(remark)
        )
    };
    let cards: String = figures.iter().map(card).collect();
    Html(if cards.is_empty() { cards } else { format!("<dl class=\"cards\">{cards}</dl>") })
}

/// Charts side by side as far as the width allows: title, remark, and SVG of [`crate::report::chart`].
pub fn figures(charts: &[(String, String, String)]) -> Html {
    let figure = |(title, remark, svg): &(String, String, String)| {
        let remark = if remark.is_empty() { String::new() } else { format!("<span>{}</span>", escape(remark)) };
        format!("<figure><figcaption><b>{}</b>{remark}</figcaption>{svg}</figure>", escape(title))
    };
    let charts: String = charts.iter().map(figure).collect();
    Html(if charts.is_empty() { charts } else { format!("<div class=\"figures\">{charts}</div>") })
}

/// A table that scrolls in its own box. Columns whose cells are all numbers are aligned to the right.
///
/// * `name`: what the table shows, for readers who do not see it
/// * `shade`: how strongly to shade the cell at (row, column), 0 to 1
pub fn table(name: &str, table: &Table, shade: impl Fn(usize, usize) -> f64) -> Html {
    let is_number = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || "+-−".contains(c)) || text.is_empty();
    let numeric: Vec<bool> =
        (0..table.columns.len()).map(|column| table.rows.iter().all(|row| is_number(&row[column]))).collect();
    let class = |column: usize| if numeric[column] { " class=\"n\"" } else { "" };
    let mut html = format!(
        "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"{}\"><table><thead><tr>",
        escape(name)
    );
    for (column, title) in table.columns.iter().enumerate() {
        // A table must not have an empty header.
        let cell = if title.is_empty() { "td" } else { "th" };
        let _ = write!(html, "<{cell}{}>{}</{cell}>", class(column), escape(title));
    }
    html.push_str("</tr></thead><tbody>");
    for (row, cells) in table.rows.iter().enumerate() {
        html.push_str("<tr>");
        for (column, cell) in cells.iter().enumerate() {
            let shade = shade(row, column);
            let style =
                if shade > 0.0 { format!(" style=\"--shade:{:.0}%\"", 45.0 * shade.min(1.0)) } else { String::new() };
            let _ = write!(html, "<td{}{style}>{}</td>", class(column), escape(cell));
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    Html(html)
}

/// A picture with its description and caption. Its pixels stay sharp when it is shown larger.
///
/// * `uri`: of [`super::png_uri`]
/// * `width`: in pixels; it is shown at most twice as wide, a small one four times
pub fn picture(description: &str, caption: &str, uri: &str, width: usize) -> Html {
    let caption =
        if caption.is_empty() { String::new() } else { format!("<figcaption>{}</figcaption>", escape(caption)) };
    Html(format!(
        "<figure class=\"picture\"><img alt=\"{}\" src=\"{}\" style=\"width:{}px\">{caption}</figure>",
        escape(description),
        escape(uri),
        if width < 200 { 4 * width } else { 2 * width }
    ))
}

/// Text of fixed width, such as a configuration.
pub fn preformatted(name: &str, lines: &str) -> Html {
    let lines: Vec<String> = lines.lines().map(escape).collect();
    Html(format!("<pre role=\"region\" tabindex=\"0\" aria-label=\"{}\">{}</pre>", escape(name), lines.join("\n")))
}

/// Content that is shown when the reader opens it.
pub fn details(summary: &str, content: Html) -> Html {
    Html(format!("<details><summary>{}</summary>{}</details>", escape(summary), content.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_escapes_its_text() {
        let bad = "<script>\"'&";
        let mut rows = Table::new(&[bad, ""]);
        rows.push(vec![bad.to_owned(), "1".to_owned()]);
        let three = [(bad.to_owned(), bad.to_owned(), bad.to_owned())];
        let parts = [
            text(bad),
            note(bad),
            listed(&[bad.to_owned()]),
            cards(&three),
            figures(&[(bad.to_owned(), bad.to_owned(), String::new())]),
            table(bad, &rows, |_, _| 0.5),
            picture(bad, bad, bad, 1),
            preformatted(bad, bad),
            details(bad, text(bad)),
        ];
        for part in parts {
            assert!(!part.0.contains(bad) && !part.0.contains("<script>"), "{}", part.0);
            assert!(part.0.contains("&lt;script&gt;&quot;&#39;&amp;"), "{}", part.0);
        }
    }

    #[test]
    fn numbers_are_aligned_and_cells_shaded() {
        let mut rows = Table::new(&["class", "recall"]);
        rows.push(vec!["disc".to_owned(), "0.5".to_owned()]);
        let Html(html) = table("recall", &rows, |_, column| column as f64);
        assert!(html.contains("<td>disc</td><td class=\"n\" style=\"--shade:45%\">0.5</td>"), "{html}");
        assert!(listed(&[]).is_empty() && cards(&[]).is_empty() && figures(&[]).is_empty());
    }
}
