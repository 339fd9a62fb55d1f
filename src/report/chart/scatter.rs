//! Maps of points in groups, such as an embedding in two dimensions.

use super::axis::Axis;
use super::frame::{Form, Frame, Key};
use super::lines::ChartError;
use super::style::marker;
use crate::report::html::escape;

/// A map of points. Its axes have no unit.
#[derive(Clone, Debug, PartialEq)]
pub struct Scatter {
    /// Title.
    pub title: String,
    /// Label of the horizontal axis; none if empty.
    pub x: String,
    /// Label of the vertical axis; none if empty.
    pub y: String,
    /// Points in groups.
    pub groups: Vec<Group>,
}

/// Points of one colour and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// Name in the legend.
    pub name: String,
    /// Points `(x, y)`.
    pub points: Vec<(f64, f64)>,
}

impl Scatter {
    /// Draws the map as a part of an HTML document with the style sheet [`super::css`].
    ///
    /// # Errors
    /// When there is no point, or one is not finite.
    pub fn part(&self) -> Result<String, ChartError> {
        let points = || self.groups.iter().flat_map(|group| &group.points);
        let chart = super::lines::Chart {
            title: self.title.clone(),
            x: Axis::linear(&self.x),
            y: Axis::linear(&self.y),
            series: Vec::new(),
        };
        chart.require_drawable(points())?;
        let legend = self.groups.iter().enumerate().map(|(index, group)| (Key::Marker(index), group.name.clone()));
        let frame = Frame {
            title: &self.title,
            axes: [&chart.x, &chart.y],
            values: [points().map(|point| point.0).collect(), points().map(|point| point.1).collect()],
            has_ticks: false,
            legend: legend.filter(|(_, name)| !name.is_empty()).collect(),
        };
        Ok(frame.svg(Form::Part, |plot, sizes| {
            let marks = self.groups.iter().enumerate().flat_map(|(index, group)| {
                let title = escape(&group.name);
                group.points.iter().map(move |&point| marker(index, plot.at(point), sizes.radius, &title))
            });
            marks.collect()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_point_has_a_marker_of_its_group() {
        let group = |name: &str, points| Group { name: name.into(), points };
        let map = Scatter {
            title: "map".into(),
            x: String::new(),
            y: String::new(),
            groups: vec![group("<disc>", vec![(0.0, 0.0), (1.0, 1.0)]), group("ring", vec![(0.5, 0.2)])],
        };
        let svg = map.part().unwrap();
        // One more of each in the legend.
        assert_eq!([svg.matches("<circle").count(), svg.matches("<path").count()], [3, 2]);
        assert!(svg.contains("&lt;disc&gt;") && !svg.contains("<disc>"));
        let empty = Scatter { groups: Vec::new(), ..map };
        assert!(empty.part().is_err());
    }
}
