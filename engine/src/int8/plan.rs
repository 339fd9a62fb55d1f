//! The values of a blob and their places in the arena.

use macula_edge::encoder::{Blob, Op};

use super::plane::Plane;
use crate::lifetimes::place;

/// Every value starts at a multiple of this, so that vectors of a pixel lie in few cache lines.
const ALIGNMENT: usize = 64;

/// The values of a blob with their places, and the bytes that they take.
pub(super) struct Plan {
    pub planes: Vec<Plane>,
    pub len: usize,
}

/// Places the values of `blob` one after another, each in the first gap of the arena that is free while it lives.
///
/// * `flip`: 0x80 if values are stored minus 128, else 0
pub(super) fn plan(blob: &Blob<'_>, flip: u8) -> Plan {
    let nodes = blob.node_count();
    let mut last_reader = vec![0; nodes + 1];
    let mut bordered = vec![false; nodes + 1];
    for index in 0..nodes {
        let node = blob.node(index);
        last_reader[node.input] = index;
        match node.op {
            Op::Add { right, .. } => last_reader[right] = index,
            Op::Conv { kernel, .. } => bordered[node.input] |= kernel == 3,
            Op::Depthwise { .. } => bordered[node.input] = true,
        }
    }
    last_reader[nodes] = nodes;
    let mut planes: Vec<Plane> = (0..=nodes).map(|index| plane(blob, index, bordered[index], flip)).collect();
    // Node `index - 1` makes value `index`; a value that no later node reads lives while it is made.
    let lives = planes.iter().zip(&last_reader).enumerate();
    let lives: Vec<_> = lives.map(|(index, (plane, &last))| (plane.len(), index..=index.max(last + 1))).collect();
    let (starts, len) = place(&lives, ALIGNMENT);
    planes.iter_mut().zip(starts).for_each(|(plane, start)| plane.start = start);
    Plan { planes, len }
}

/// Value `index`, which has no place yet.
fn plane(blob: &Blob<'_>, index: usize, bordered: bool, flip: u8) -> Plane {
    let value = blob.value(index);
    let mut zero = [value.zero; 3];
    if index == 0 {
        // The index of a byte modulo 3 is its channel modulo the number of channels, 1 or 3.
        let pads = blob.input_channels();
        zero = std::array::from_fn(|channel| pads[channel % pads.len()].pad);
    }
    let [height, width, channels] = [value.height, value.width, value.channels].map(usize::from);
    Plane { height, width, channels, bordered, zero: zero.map(|byte| byte ^ flip), start: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_border_surrounds_every_row() {
        let plane = Plane { height: 2, width: 3, channels: 8, bordered: true, zero: [7; 3], start: 64 };
        let mut arena = vec![0; 64 + plane.len()];
        plane.write_border(&mut arena);
        let pixel = |row: usize, column: usize| plane.start + row * plane.pitch() + column * 8;
        for (row, column) in (0..4).flat_map(|row| (0..5).map(move |column| (row, column))) {
            let inside = (1..3).contains(&row) && (1..4).contains(&column);
            assert_eq!(arena[pixel(row, column)], if inside { 0 } else { 7 }, "{row} {column}");
        }
        assert_eq!(plane.pixel(0, 0), pixel(1, 1));
        assert!(arena[..64].iter().all(|&byte| byte == 0));
    }
}
