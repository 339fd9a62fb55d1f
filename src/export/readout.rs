//! The readout of an encoder as ONNX nodes.
//!
//! | part     | nodes                                                                                               |
//! |----------|-----------------------------------------------------------------------------------------------------|
//! | mean     | GlobalAveragePool                                                                                   |
//! | std      | Sub (the mean), Mul by 1/4, Mul by itself, GlobalAveragePool, Add `ε / 16`, Sqrt, Mul by 4           |
//! | cells    | AveragePool to 2×2, Transpose to `[N, 2, 2, C]`, Flatten                                             |
//! | together | Concat, Flatten; with cells Concat again                                                            |
//! | map      | MatMul by the transposed weight, Add (tract has no Gemm with bias in f16)                            |
//!
//! Squares of deviations, not a difference of mean squares, because f16 has 11 bits. Deviations are quartered, so that the square
//! of one of 1,000 stays below 65,504, the largest f16; a power of 2 changes no digit.

use super::graph::{GraphBuilder, OnnxError, int, ints};
use crate::encoder::{EncoderSpec, Grid, LinearMap, Pooled, STD_EPSILON, ValueId};

/// Deviations are divided by this before they are squared.
const SHRINK: f32 = 4.0;

/// The parts of the pooled vector written so far.
#[derive(Default)]
pub(super) struct Parts {
    /// Means and deviations `[N, C, 1, 1]`, in order.
    statistics: Vec<String>,
    /// Means of the cells, `[N, 4 C]`.
    cells: Option<String>,
}

impl Parts {
    /// Appends what `pooled` takes of `value`, called `name`, of shape `[N, C, grid]`. At once, so that a runtime need not keep the
    /// value until the end.
    pub fn add(&mut self, graph: &mut GraphBuilder, pooled: &Pooled, value: ValueId, name: &str, grid: Grid) {
        let Some(number) = pooled.values.iter().position(|&(pooled, _)| pooled == value) else { return };
        if !pooled.has_std {
            // The form of files from before there were other readouts.
            graph.node("GlobalAveragePool", "pool", &[name], "pool", vec![]);
            self.statistics.push("pool".to_owned());
            return;
        }
        let part = |part: &str| format!("pool.{number}.{part}");
        let mean = part("mean");
        graph.node("GlobalAveragePool", &mean, &[name], &mean, vec![]);
        if number == 0 {
            graph.initializer("pool.shrink", &[], &[1.0 / SHRINK]);
            graph.initializer("pool.grow", &[], &[SHRINK]);
            graph.initializer("pool.epsilon", &[], &[STD_EPSILON / (SHRINK * SHRINK)]);
        }
        let [deviation, shrunk, square, variance, raised, root, std] =
            ["deviation", "shrunk", "square", "variance", "raised", "root", "std"].map(part);
        graph.node("Sub", &deviation, &[name, &mean], &deviation, vec![]);
        graph.node("Mul", &shrunk, &[&deviation, "pool.shrink"], &shrunk, vec![]);
        graph.node("Mul", &square, &[&shrunk, &shrunk], &square, vec![]);
        graph.node("GlobalAveragePool", &variance, &[&square], &variance, vec![]);
        graph.node("Add", &raised, &[&variance, "pool.epsilon"], &raised, vec![]);
        graph.node("Sqrt", &root, &[&raised], &root, vec![]);
        graph.node("Mul", &std, &[&root, "pool.grow"], &std, vec![]);
        self.statistics.extend([mean, std]);
        if pooled.has_cells && number + 1 == pooled.values.len() {
            self.cells = Some(add_cells(graph, name, grid));
        }
    }

    /// Joins the parts and applies `map`; the result is called `output`.
    ///
    /// # Errors
    /// When the map is missing or does not fit the readout of `spec`, or the element cannot hold a weight.
    pub fn finish(
        self,
        graph: &mut GraphBuilder,
        spec: &EncoderSpec,
        map: Option<&LinearMap>,
        output: &str,
    ) -> Result<(), OnnxError> {
        let pooled_name = if spec.readout.dim.is_some() { "pooled" } else { output };
        let mut joined = match &self.statistics[..] {
            [only] => only.clone(),
            all => {
                graph.node("Concat", "pool.join", &names(all), "pool.join", vec![int("axis", 1)]);
                "pool.join".to_owned()
            }
        };
        if let Some(cells) = self.cells {
            graph.node("Flatten", "pool.flatten", &[&joined], "pool.flatten", vec![]);
            joined = "pool.flatten".to_owned();
            graph.node("Concat", "flatten", &[&joined, &cells], pooled_name, vec![int("axis", 1)]);
        } else {
            graph.node("Flatten", "flatten", &[&joined], pooled_name, vec![]);
        }
        let (pooled, dim) = (spec.pooled_len(), spec.readout.dim.unwrap_or(0));
        let found = map.map_or(0, |map| map.bias.len());
        if found != dim {
            return Err(OnnxError::Length { layer: "the readout".into(), what: "outputs", found, needed: dim });
        }
        let Some(map) = map else { return Ok(()) };
        // Checked before it is read by columns.
        if map.weight.len() != dim * pooled {
            let layer = "readout".to_owned();
            return Err(OnnxError::Length { layer, what: "weights", found: map.weight.len(), needed: dim * pooled });
        }
        let columns = (0..pooled).flat_map(|column| map.weight[column..].iter().step_by(pooled)).copied();
        graph.parameter("readout", "weight", &[pooled, dim], &columns.collect::<Vec<_>>())?;
        graph.parameter("readout", "bias", &[dim], &map.bias)?;
        graph.node("MatMul", "readout.product", &[pooled_name, "readout.weight"], "readout.product", vec![]);
        graph.node("Add", "readout", &["readout.product", "readout.bias"], output, vec![]);
        Ok(())
    }
}

/// Appends the means of the cells of `name`, `[N, C, grid]`, row by row; returns the name of `[N, 4 C]`.
///
/// Windows of `⌈len / 2⌉` at distance `⌊len / 2⌋` are the cells of [`crate::encoder::cell`], except for a side of 1, which is
/// doubled first.
fn add_cells(graph: &mut GraphBuilder, name: &str, grid: Grid) -> String {
    let mut input = name.to_owned();
    let mut sides = [grid.rows, grid.columns];
    for (axis, side) in sides.iter_mut().enumerate().filter(|(_, side)| **side == 1) {
        let doubled = format!("pool.cells.doubled.{axis}");
        graph.node("Concat", &doubled, &[&input, &input], &doubled, vec![int("axis", 2 + axis)]);
        (input, *side) = (doubled, 2);
    }
    let [windows, distances] = [sides.map(|side| side.div_ceil(2)), sides.map(|side| side / 2)];
    let attributes = vec![ints("kernel_shape", &windows), ints("strides", &distances)];
    graph.node("AveragePool", "pool.cells", &[&input], "pool.cells", attributes);
    graph.node("Transpose", "pool.cells.rows", &["pool.cells"], "pool.cells.rows", vec![ints("perm", &[0, 2, 3, 1])]);
    graph.node("Flatten", "pool.cells.flatten", &["pool.cells.rows"], "pool.cells.flatten", vec![]);
    "pool.cells.flatten".to_owned()
}

fn names(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}
