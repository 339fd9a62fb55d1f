//! The looks of charts: colours, dashes, markers.

use std::fmt::Write;

/// Colours on a light ground: those of Okabe and Ito (2008, "Color universal design") without yellow, which is invisible on white, then
/// grey and brown.
const LIGHT: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5a5a5a", "#662506"];

/// The same hues, lighter, on a dark ground.
const DARK: [&str; 8] = ["#56b4e9", "#f08b4b", "#2fbf95", "#e3a0c8", "#e6b43c", "#98a6f5", "#b4bcc4", "#d0a986"];

/// Dashes of lines, `stroke-dasharray`; the first is solid.
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// Marker shapes.
const SHAPES: usize = 6;

/// Attributes of the line of series `index`.
pub(super) fn line(index: usize) -> String {
    let dashes = DASHES[index % DASHES.len()];
    let dashes = if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
    format!("class=\"l{}\"{dashes}", index % LIGHT.len())
}

/// The marker of series `index` at `(x, y)`; `title` is shown when the pointer rests on it.
pub(super) fn marker(index: usize, (x, y): (f64, f64), radius: f64, title: &str) -> String {
    let r = radius;
    let class = index % LIGHT.len();
    let shape = match index % SHAPES {
        0 => format!("<circle class=\"m{class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r:.1}\""),
        // Shapes of equal area look equally large.
        shape => {
            let corners: &[(f64, f64)] = match shape {
                1 => &[(-0.89, -0.89), (0.89, -0.89), (0.89, 0.89), (-0.89, 0.89)],
                2 => &[(0.0, -1.3), (1.2, 0.85), (-1.2, 0.85)],
                3 => &[(0.0, -1.25), (1.25, 0.0), (0.0, 1.25), (-1.25, 0.0)],
                4 => &[(0.0, 1.3), (1.2, -0.85), (-1.2, -0.85)],
                _ => &[(-1.1, -0.55), (0.0, 0.45), (1.1, -0.55), (1.1, 0.3), (0.0, 1.3), (-1.1, 0.3)],
            };
            let mut path = String::new();
            for (at, (dx, dy)) in corners.iter().enumerate() {
                let command = if at == 0 { 'M' } else { 'L' };
                let _ = write!(path, "{command}{:.1} {:.1}", x + r * dx, y + r * dy);
            }
            format!("<path class=\"m{class}\" d=\"{path}Z\"")
        }
    };
    match title {
        "" => format!("{shape}/>"),
        title => {
            let tag = if index.is_multiple_of(SHAPES) { "circle" } else { "path" };
            format!("{shape}><title>{title}</title></{tag}>")
        }
    }
}

/// Rules of a ground's colours.
fn rules(colours: &[&str; 8], ink: &str, muted: &str, line: &str) -> String {
    let mut css = format!(
        ".chart text{{fill:{muted}}}.chart .ink{{fill:{ink}}}.chart .grid{{stroke:{line}}}.chart .edge{{stroke:{muted}}}\
         .chart .guide{{stroke:{muted}}}"
    );
    for (index, colour) in colours.iter().enumerate() {
        let _ = write!(css, ".l{index}{{stroke:{colour}}}.m{index}{{fill:{colour}}}");
    }
    css
}

/// Rules that do not depend on the ground.
const SHAPE_RULES: &str = ".chart{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}\
    .chart polyline{fill:none;stroke-width:2;stroke-linejoin:round}.chart .edge{stroke-width:1}.chart .grid{stroke-width:1}\
    .chart .guide{stroke-width:1.2;stroke-dasharray:4 4}";

/// The style sheet of charts in an HTML document.
pub fn css() -> String {
    format!(
        "{SHAPE_RULES}{}@media (prefers-color-scheme:dark){{{}}}",
        rules(&LIGHT, "#14191d", "#55606a", "#dce1e5"),
        rules(&DARK, "#e9edf0", "#a0abb4", "#2a3136")
    )
}

/// The style sheet of a chart that is a file of its own, on white.
pub(super) fn file_css() -> String {
    format!("{SHAPE_RULES}{}", rules(&LIGHT, "#14191d", "#55606a", "#dce1e5"))
}
