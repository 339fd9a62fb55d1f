//! The frame of a chart: title, axes with ticks, plot, and the legend below it.

use std::fmt::Write;

use super::axis::{Axis, Scale};
use super::style::{file_css, line, marker};
use crate::report::html::escape;
use crate::report::text::width;

/// How a chart is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// A file of its own, with a title.
    File,
    /// A part of a document, which has the title and the style sheet.
    Part,
}

/// Sizes in the units of the picture. A part is drawn small, so that its text is readable on a narrow screen.
pub(super) struct Sizes {
    pub width: f64,
    pub plot_height: f64,
    pub font: f64,
    /// About how many ticks each axis has.
    pub ticks: (usize, usize),
    pub radius: f64,
}

impl Form {
    pub fn sizes(self) -> Sizes {
        match self {
            Self::File => Sizes { width: 760.0, plot_height: 360.0, font: 14.0, ticks: (7, 6), radius: 3.6 },
            Self::Part => Sizes { width: 380.0, plot_height: 190.0, font: 13.0, ticks: (5, 4), radius: 3.0 },
        }
    }
}

/// How an entry of the legend is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// Line and marker of series `index`.
    Line(usize),
    /// Marker of series `index`.
    Marker(usize),
    /// A line of reference.
    Guide,
}

/// Where values lie in the picture.
pub(super) struct Plot<'a> {
    axes: [&'a Axis; 2],
    scales: [Scale; 2],
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

impl Plot<'_> {
    /// The position of a point in the picture.
    pub fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        let share = |which: usize, value: f64| self.scales[which].share(self.axes[which].place(value));
        (self.left + self.width * share(0, x), self.top + self.height * (1.0 - share(1, y)))
    }
}

/// What a chart shows besides its content.
pub(super) struct Frame<'a> {
    pub title: &'a str,
    pub axes: [&'a Axis; 2],
    /// The values of each axis, finite and not empty.
    pub values: [Vec<f64>; 2],
    /// Whether the axes have ticks. Those of a map have no unit.
    pub has_ticks: bool,
    pub legend: Vec<(Key, String)>,
}

/// Mean width of a character in units of the font size.
const CHARACTER: f64 = 0.56;

impl Frame<'_> {
    /// The chart with the content that `draw` makes of the plot.
    pub fn svg(self, form: Form, draw: impl FnOnce(&Plot<'_>, &Sizes) -> String) -> String {
        let sizes = form.sizes();
        let Sizes { width: all, plot_height, font, ticks, .. } = sizes;
        let text_width = |text: &str| CHARACTER * font * width(text) as f64;
        let [x_values, y_values] = &self.values;
        let [x_axis, y_axis] = self.axes;
        let scales = [x_axis.scale(x_values, ticks.0), y_axis.scale(y_values, ticks.1)];
        let widest = scales[1].ticks.iter().map(|tick| text_width(&tick.1)).fold(0.0, f64::max);
        let left = if self.has_ticks { widest + 14.0 } else { 8.0 };
        let title_height = if form == Form::File { 1.9 * font } else { 0.0 };
        // The label of the vertical axis stands above it: turned text is hard to read.
        let top = title_height + if y_axis.label.is_empty() { 6.0 } else { 1.7 * font };
        let plot = Plot { axes: self.axes, left, top, width: all - left - 12.0, height: plot_height, scales };
        let below = top + plot_height + if self.has_ticks { 1.5 * font } else { 0.4 * font };
        let below = below + if x_axis.label.is_empty() { 0.0 } else { 1.3 * font };
        let (legend, legend_height) = self.legend(&sizes, below + 0.6 * font, text_width);
        let height = below + legend_height + 6.0;

        let mut svg = String::new();
        let label = escape(self.title);
        let namespace = if form == Form::File { " xmlns=\"http://www.w3.org/2000/svg\"" } else { "" };
        let _ = write!(
            svg,
            "<svg{namespace} class=\"chart\" role=\"img\" aria-label=\"{label}\" viewBox=\"0 0 {all:.0} {height:.0}\" font-size=\"{font:.0}\">"
        );
        if form == Form::File {
            let _ = write!(
                svg,
                "<style>{}</style><rect width=\"{all:.0}\" height=\"{height:.0}\" fill=\"#ffffff\"/>\
                 <text class=\"ink\" x=\"{left:.1}\" y=\"{:.1}\" font-weight=\"600\">{label}</text>",
                file_css(),
                1.3 * font
            );
        }
        if !y_axis.label.is_empty() {
            let _ =
                write!(svg, "<text x=\"4\" y=\"{:.1}\">{}</text>", title_height + 1.05 * font, escape(&y_axis.label));
        }
        self.draw_axes(&mut svg, &plot, font, text_width);
        svg.push_str(&draw(&plot, &sizes));
        svg.push_str(&legend);
        svg.push_str("</svg>");
        svg
    }

    fn draw_axes(&self, svg: &mut String, plot: &Plot<'_>, font: f64, text_width: impl Fn(&str) -> f64) {
        let (bottom, right) = (plot.top + plot.height, plot.left + plot.width);
        if self.has_ticks {
            for (place, text) in &plot.scales[1].ticks {
                let y = plot.top + plot.height * (1.0 - plot.scales[1].share(*place));
                let _ = write!(
                    svg,
                    "<line class=\"grid\" x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{right:.1}\" y2=\"{y:.1}\"/>\
                     <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                    plot.left,
                    plot.left - 6.0,
                    y + 0.35 * font
                );
            }
            let mut free_from = f64::NEG_INFINITY;
            for (place, text) in &plot.scales[0].ticks {
                let x = plot.left + plot.width * plot.scales[0].share(*place);
                let _ = write!(
                    svg,
                    "<line class=\"edge\" x1=\"{x:.1}\" y1=\"{bottom:.1}\" x2=\"{x:.1}\" y2=\"{:.1}\"/>",
                    bottom + 4.0
                );
                let half = text_width(text) / 2.0;
                if x - half >= free_from {
                    let _ = write!(
                        svg,
                        "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{text}</text>",
                        bottom + 1.35 * font
                    );
                    free_from = x + half + 4.0;
                }
            }
            let _ = write!(
                svg,
                "<line class=\"edge\" x1=\"{:.1}\" y1=\"{bottom:.1}\" x2=\"{right:.1}\" y2=\"{bottom:.1}\"/>",
                plot.left
            );
        } else {
            let _ = write!(
                svg,
                "<rect class=\"grid\" fill=\"none\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                plot.left, plot.top, plot.width, plot.height
            );
        }
        let label = &self.axes[0].label;
        if !label.is_empty() {
            let y = bottom + if self.has_ticks { 2.65 } else { 1.3 } * font;
            let _ = write!(svg, "<text x=\"{right:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{}</text>", escape(label));
        }
    }

    /// The legend from `top` on, in rows, and its height.
    fn legend(&self, sizes: &Sizes, top: f64, text_width: impl Fn(&str) -> f64) -> (String, f64) {
        let (mut svg, font, indent) = (String::new(), sizes.font, 6.0);
        let (mut x, mut y) = (indent, top + font);
        for (key, name) in &self.legend {
            let room = ((sizes.width - 46.0) / (CHARACTER * font)) as usize;
            let name = shortened(name, room);
            let needed = 32.0 + text_width(&name) + 14.0;
            if x > indent && x + needed - 14.0 > sizes.width {
                (x, y) = (indent, y + 1.45 * font);
            }
            let middle = y - 0.35 * font;
            match *key {
                Key::Line(index) => {
                    let _ = write!(
                        svg,
                        "<polyline {} points=\"{x:.1},{middle:.1} {:.1},{middle:.1}\"/>{}",
                        line(index),
                        x + 26.0,
                        marker(index, (x + 13.0, middle), sizes.radius, "")
                    );
                }
                Key::Marker(index) => svg.push_str(&marker(index, (x + 16.0, middle), sizes.radius + 1.0, "")),
                Key::Guide => {
                    let _ = write!(
                        svg,
                        "<line class=\"guide\" x1=\"{x:.1}\" y1=\"{middle:.1}\" x2=\"{:.1}\" y2=\"{middle:.1}\"/>",
                        x + 26.0
                    );
                }
            }
            let _ = write!(svg, "<text class=\"ink\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>", x + 32.0, escape(&name));
            x += needed;
        }
        let height = if self.legend.is_empty() { 0.0 } else { y + 0.6 * font - top + 0.6 * font };
        (svg, height)
    }
}

/// `text`, cut to at most `room` characters with an ellipsis in the middle: names of runs differ at their end.
fn shortened(text: &str, room: usize) -> String {
    let characters: Vec<char> = text.chars().collect();
    if characters.len() <= room || room < 8 {
        return text.to_owned();
    }
    let tail = 2 * room / 3;
    let head: String = characters[..room - tail - 1].iter().collect();
    let tail: String = characters[characters.len() - tail..].iter().collect();
    format!("{head}…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("short", 10), "short");
        assert_eq!(shortened("runs/a-long-name-of-a-run-7", 12), "run…-a-run-7");
    }
}
