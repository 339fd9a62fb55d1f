//! Line charts as SVG.

use plotters::prelude::*;

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

/// An axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    /// Quantity and unit.
    pub label: String,
    /// Whether the scale is logarithmic; all values are then above 0.
    pub logarithmic: bool,
}

/// A line.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Points `(x, y)` in order.
    pub points: Vec<(f64, f64)>,
}

impl Series {
    /// One for each name.
    pub fn named(names: &[&str], curves: impl IntoIterator<Item = Vec<(f64, f64)>>) -> Vec<Self> {
        names.iter().zip(curves).map(|(name, points)| Self { name: (*name).to_owned(), points }).collect()
    }
}

/// A chart that cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw '{title}': {message}")]
pub struct ChartError {
    title: String,
    message: String,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: &str) -> Self {
        Self { label: label.to_owned(), logarithmic: false }
    }

    /// A logarithmic axis.
    pub fn logarithmic(label: &str) -> Self {
        Self { label: label.to_owned(), logarithmic: true }
    }

    fn place(&self, value: f64) -> f64 {
        if self.logarithmic { value.log10() } else { value }
    }

    fn tick(&self, place: f64) -> String {
        let value = if self.logarithmic { 10f64.powf(place) } else { place };
        if value.abs() >= 1000.0 { format!("{value:.0}") } else { format!("{}", (value * 1000.0).round() / 1000.0) }
    }

    /// Minimum and maximum with a margin, so that a single value also has a range.
    fn range(&self, values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
        let (low, high) = values
            .map(|value| self.place(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| (low.min(place), high.max(place)));
        let margin = ((high - low) * 0.05).max(1e-3);
        low - margin..high + margin
    }
}

const SIZE: (u32, u32) = (760, 480);

/// Colours that colour-blind readers can distinguish (Wong 2011, Nature Methods 8, 441), then darker shades.
const COLOURS: [RGBColor; 10] = [
    RGBColor(0, 114, 178),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(230, 159, 0),
    RGBColor(86, 180, 233),
    RGBColor(90, 90, 90),
    RGBColor(102, 37, 6),
    RGBColor(63, 0, 125),
    RGBColor(0, 68, 27),
];

impl Chart {
    /// Draws the chart.
    ///
    /// # Errors
    /// When there is no point, or one is not finite.
    pub fn svg(&self) -> Result<String, ChartError> {
        let failed = |message: String| ChartError { title: self.title.clone(), message };
        let points = || self.series.iter().flat_map(|series| &series.points);
        if points().count() == 0 {
            return Err(failed("no data points".into()));
        }
        if let Some(&(x, y)) = points().find(|&&(x, y)| !(self.x.place(x).is_finite() && self.y.place(y).is_finite())) {
            return Err(failed(format!("({x}, {y}) is not on the axes")));
        }
        let mut picture = String::new();
        self.draw(&mut picture).map_err(|error| failed(error.to_string()))?;
        Ok(picture)
    }

    fn draw(&self, picture: &mut String) -> Result<(), Box<dyn std::error::Error>> {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (x, y) = (self.x.range(points().map(|p| p.0)), self.y.range(points().map(|p| p.1)));
        let area = SVGBackend::with_string(picture, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(58)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .x_label_formatter(&|place| self.x.tick(*place))
            .y_label_formatter(&|place| self.y.tick(*place))
            .draw()?;
        for (index, series) in self.series.iter().enumerate() {
            let colour = COLOURS[index % COLOURS.len()];
            let places: Vec<(f64, f64)> =
                series.points.iter().map(|&(x, y)| (self.x.place(x), self.y.place(y))).collect();
            chart
                .draw_series(LineSeries::new(places.clone(), colour.stroke_width(2)))?
                .label(&series.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2)));
            chart.draw_series(places.into_iter().map(|place| Circle::new(place, 3, colour.filled())))?;
        }
        chart
            .configure_series_labels()
            .background_style(WHITE.mix(0.85))
            .border_style(BLACK.mix(0.3))
            .position(SeriesLabelPosition::LowerRight)
            .draw()?;
        area.present()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "accuracy".into(),
            x: Axis::logarithmic("labels per class"),
            y: Axis::linear("balanced accuracy"),
            series: vec![Series { name: "from scratch".into(), points }],
        }
    }

    #[test]
    fn a_line_has_its_points_its_names_and_the_same_bytes() {
        let svg = chart(vec![(20.0, 0.3), (100.0, 0.5), (5000.0, 0.8)]).svg().unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        for text in ["accuracy", "labels per class", "balanced accuracy", "from scratch"] {
            assert!(svg.contains(text), "{text}");
        }
        assert_eq!(svg, chart(vec![(20.0, 0.3), (100.0, 0.5), (5000.0, 0.8)]).svg().unwrap());
    }

    #[test]
    fn a_chart_that_cannot_be_drawn_is_an_error() {
        assert!(chart(vec![]).svg().is_err(), "no point");
        let message = chart(vec![(0.0, 1.0)]).svg().unwrap_err().to_string();
        assert!(message.contains("(0, 1)"), "{message}");
        assert!(chart(vec![(20.0, 0.5)]).svg().is_ok(), "a single point");
    }
}
