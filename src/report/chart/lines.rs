//! Line charts.

use std::fmt::Write;

use super::axis::{Axis, short};
use super::frame::{Form, Frame, Key, Plot, Sizes};
use super::style::{line, marker};
use crate::report::html::escape;

/// A line chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// Title.
    pub title: String,
    /// Horizontal axis.
    pub x: Axis,
    /// Vertical axis.
    pub y: Axis,
    /// Lines.
    pub series: Vec<Series>,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend; none if empty.
    pub name: String,
    /// Points `(x, y)` in order.
    pub points: Vec<(f64, f64)>,
    /// Whether it is a line of reference, such as chance, drawn without markers.
    pub is_guide: bool,
}

impl Series {
    /// A line.
    pub fn new(name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.into(), points, is_guide: false }
    }

    /// A line of reference from one point to another.
    pub fn guide(name: impl Into<String>, from: (f64, f64), to: (f64, f64)) -> Self {
        Self { is_guide: true, ..Self::new(name, vec![from, to]) }
    }

    /// One for each name.
    pub fn named(names: &[&str], curves: impl IntoIterator<Item = Vec<(f64, f64)>>) -> Vec<Self> {
        names.iter().zip(curves).map(|(name, points)| Self::new(*name, points)).collect()
    }
}

/// A chart that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw '{title}': {message}")]
pub struct ChartError {
    title: String,
    message: String,
}

/// Most points of a line that are drawn: more are not visible, and the file would grow with the length of a run.
const POINTS_MAX: usize = 300;

/// Most points of a line with markers.
const MARKERS_MAX: usize = 40;

impl Chart {
    /// Draws the chart as a file.
    ///
    /// # Errors
    /// When there is no point, or one is not finite.
    pub fn svg(&self) -> Result<String, ChartError> {
        self.draw(Form::File)
    }

    /// Draws the chart as a part of an HTML document with the style sheet [`super::css`]. The title is for readers who do not see
    /// it.
    ///
    /// # Errors
    /// As [`Self::svg`].
    pub fn part(&self) -> Result<String, ChartError> {
        self.draw(Form::Part)
    }

    /// Checks that `points` are on the axes, and that there is one.
    pub(super) fn require_drawable<'p>(
        &self,
        points: impl Iterator<Item = &'p (f64, f64)> + Clone,
    ) -> Result<(), ChartError> {
        let failed = |message: String| ChartError { title: self.title.clone(), message };
        let is_off = |&&(x, y): &&(f64, f64)| !(self.x.place(x).is_finite() && self.y.place(y).is_finite());
        match points.clone().find(is_off) {
            _ if points.clone().count() == 0 => Err(failed("no data points".into())),
            Some((x, y)) => Err(failed(format!("({x}, {y}) is not on the axes"))),
            None => Ok(()),
        }
    }

    fn draw(&self, form: Form) -> Result<String, ChartError> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        self.require_drawable(points())?;
        let lines = self.series.iter().filter(|series| !series.is_guide);
        let mut legend: Vec<(Key, String)> =
            lines.enumerate().map(|(index, series)| (Key::Line(index), series.name.clone())).collect();
        legend.extend(
            self.series.iter().filter(|series| series.is_guide).map(|series| (Key::Guide, series.name.clone())),
        );
        legend.retain(|(_, name)| !name.is_empty());
        let frame = Frame {
            title: &self.title,
            axes: [&self.x, &self.y],
            values: [points().map(|point| point.0).collect(), points().map(|point| point.1).collect()],
            has_ticks: true,
            legend,
        };
        Ok(frame.svg(form, |plot, sizes| self.content(plot, sizes)))
    }

    fn content(&self, plot: &Plot<'_>, sizes: &Sizes) -> String {
        let mut svg = String::new();
        for series in self.series.iter().filter(|series| series.is_guide) {
            if let [from, to] = series.points[..] {
                let ((x1, y1), (x2, y2)) = (plot.at(from), plot.at(to));
                let _ =
                    write!(svg, "<line class=\"guide\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
            }
        }
        for (index, series) in self.series.iter().filter(|series| !series.is_guide).enumerate() {
            let points = thinned(&series.points);
            let _ = write!(svg, "<polyline {} points=\"", line(index));
            for &point in &points {
                let (x, y) = plot.at(point);
                let _ = write!(svg, "{x:.1},{y:.1} ");
            }
            svg.push_str("\"/>");
            if points.len() <= MARKERS_MAX {
                let name = if series.name.is_empty() { String::new() } else { format!("{}: ", escape(&series.name)) };
                for &(x, y) in &points {
                    let title = format!("{name}{}, {}", short(x), short(y));
                    svg.push_str(&marker(index, plot.at((x, y)), sizes.radius, &title));
                }
            }
        }
        svg
    }
}

/// At most [`POINTS_MAX`] of `points`: of each stretch the lowest and the highest, in their order, so that no peak is lost, and the last.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS_MAX {
        return points.to_vec();
    }
    let mut kept = Vec::with_capacity(POINTS_MAX + 1);
    for stretch in points.chunks(points.len().div_ceil(POINTS_MAX / 2)) {
        let by_value = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let ends = [stretch.iter().min_by(by_value), stretch.iter().max_by(by_value)];
        let mut ends: Vec<(f64, f64)> = ends.into_iter().flatten().copied().collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
        ends.dedup();
        kept.extend(ends);
    }
    if kept.last() != points.last() {
        kept.extend(points.last());
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "accuracy".into(),
            x: Axis::logarithmic("labels per class"),
            y: Axis::linear("balanced accuracy"),
            series: vec![Series::new("from scratch", points), Series::guide("chance", (20.0, 0.1), (5000.0, 0.1))],
        }
    }

    #[test]
    fn a_line_has_its_points_its_names_and_the_same_bytes() {
        let points = vec![(20.0, 0.3), (100.0, 0.5), (5000.0, 0.8)];
        let svg = chart(points.clone()).svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 3 + 1, "and one in the legend");
        for text in ["accuracy", "labels per class", "balanced accuracy", "from scratch", "chance", ">20<", ">5000<"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, chart(points.clone()).svg().unwrap());
        let part = chart(points).part().unwrap();
        assert!(!part.contains("xmlns") && !part.contains("<style"), "the document has both");
    }

    #[test]
    fn a_chart_that_cannot_be_drawn_is_an_error() {
        let without = Chart { series: vec![Series::new("nothing", vec![])], ..chart(vec![]) };
        assert!(without.svg().is_err(), "no point");
        let message = chart(vec![(0.0, 1.0)]).svg().unwrap_err().to_string();
        assert!(message.contains("(0, 1)"), "{message}");
        assert!(chart(vec![(20.0, 0.5)]).svg().is_ok(), "a single point");
    }

    #[test]
    fn a_long_line_keeps_its_peaks_and_its_end() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|x| (f64::from(x), 1.0)).collect();
        points[5_003].1 = 9.0;
        points[7_001].1 = -9.0;
        let kept = thinned(&points);
        assert!(kept.len() <= POINTS_MAX + 1, "{}", kept.len());
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0) && kept.last() == points.last());
        assert!([points[5_003], points[7_001]].iter().all(|peak| kept.contains(peak)));
    }
}
