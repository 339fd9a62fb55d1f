//! The memory of the arena that a node may use besides its values.

use core::ops::Range;

use super::format::NODES_MAX;
use super::graph::Graph;
use super::node::Op;
use super::winograd_int8;

/// Most words that are asked for besides the arena.
const EXTRA_MAX: usize = 2048;

/// The longest run of words below `end` where no value lies that `node` or a later node reads, nor the one that it makes.
pub(super) fn room(graph: &Graph<'_>, node: usize, end: usize) -> Range<usize> {
    let mut alive = [false; NODES_MAX + 1];
    alive[node + 1] = true;
    for later in node..graph.node_count() {
        let step = graph.node(later);
        let right = if let Op::Add { right, .. } = step.op { right } else { step.input };
        for value in [step.input, right].into_iter().filter(|&value| value <= node) {
            alive[value] = true;
        }
    }
    let ranges = || {
        let values = graph.values.iter().zip(alive).filter(|&(_, alive)| alive);
        values.map(|(value, _)| value.range(graph.arithmetic))
    };
    // A run begins with the arena or behind a value. One that begins inside a value is empty.
    let run = |start: usize| {
        let stop = ranges().filter(|range| range.end > start).map(|range| range.start).min().unwrap_or(end);
        start..stop.max(start)
    };
    let starts = core::iter::once(0).chain(ranges().map(|range| range.end));
    starts.map(run).max_by_key(Range::len).unwrap_or(end..end)
}

/// Words that make convolutions faster besides the arena, whose scratch ends at `end`.
pub(super) fn extra_words(graph: &Graph<'_>, end: usize) -> usize {
    let of_node = |node: usize| {
        let step = graph.node(node);
        let (channels, made) = (usize::from(graph.values[step.input].channels), graph.values[node + 1]);
        let wanted = match step.op {
            Op::Conv { kernel, stride, .. } if winograd_int8::applies(kernel, stride, channels) => {
                winograd_int8::words_wanted(channels, made.values() / usize::from(made.channels))
            }
            _ => 0,
        };
        // The last run grows with the arena.
        if room(graph, node, end).len() >= wanted { 0 } else { wanted.saturating_sub(end - graph.values_words) }
    };
    (0..graph.node_count()).map(of_node).max().unwrap_or(0).min(EXTRA_MAX)
}
