//! Pools a value: exact sums here, with all channels side by side; what follows of them in `macula-edge`, for the same
//! bytes.

use macula_edge::encoder::format::{PART_CELLS, PART_STD};
use macula_edge::encoder::{Area, Pool};

use super::plane::Plane;

/// Sums of each channel, `[C]` at least.
pub(super) struct Sums {
    values: Vec<u32>,
    /// Of squares, of one row: at most 1024 of 255² fit 32 bits.
    row: Vec<u32>,
    /// Of squares.
    squares: Vec<u64>,
}

impl Sums {
    /// Sums of up to `channels` channels.
    pub fn new(channels: usize) -> Self {
        Self { values: vec![0; channels], row: vec![0; channels], squares: vec![0; channels] }
    }

    /// Pools the value at `plane`.
    ///
    /// * `flip`: what its bytes are stored with
    /// * `pooled`: means `[C]`, standard deviations `[C]`, means of cells `[4, C]`, where the parts of `pool` have them
    pub fn pool(&mut self, pool: &Pool, plane: &Plane, arena: &[u8], flip: u8, pooled: &mut [f32]) {
        let channels = plane.channels;
        let (means, mut rest) = pooled.split_at_mut(channels);
        self.means(pool, plane, arena, flip, &[0..plane.height, 0..plane.width], means);
        if pool.parts & PART_STD != 0 {
            let std;
            (std, rest) = rest.split_at_mut(channels);
            self.add_squares(plane, arena, flip);
            let sums = self.values.iter().zip(&self.squares);
            for (std, (&values, &squares)) in std.iter_mut().zip(sums) {
                *std = pool.std_int8(values, squares, plane.height * plane.width);
            }
        }
        if pool.parts & PART_CELLS != 0 {
            for (cell, means) in pool.cells().iter().zip(rest.chunks_exact_mut(channels)) {
                self.means(pool, plane, arena, flip, cell, means);
            }
        }
    }

    /// The means over an area, whose sums stay in `values`.
    fn means(&mut self, pool: &Pool, plane: &Plane, arena: &[u8], flip: u8, area: &Area, means: &mut [f32]) {
        let [rows, columns] = area;
        let sums = &mut self.values[..plane.channels];
        sums.fill(0);
        for row in rows.clone() {
            let row = &arena[plane.pixel(row, columns.start)..plane.pixel(row, columns.end)];
            for pixel in row.chunks_exact(plane.channels) {
                sums.iter_mut().zip(pixel).for_each(|(sum, &byte)| *sum += u32::from(byte ^ flip));
            }
        }
        let pixels = rows.len() * columns.len();
        means.iter_mut().zip(sums).for_each(|(mean, sum)| *mean = pool.mean_int8(*sum, pixels));
    }

    /// The sums of the squares of all pixels.
    fn add_squares(&mut self, plane: &Plane, arena: &[u8], flip: u8) {
        let (row_sums, sums) = (&mut self.row[..plane.channels], &mut self.squares[..plane.channels]);
        sums.fill(0);
        for row in 0..plane.height {
            row_sums.fill(0);
            let row = &arena[plane.pixel(row, 0)..][..plane.width * plane.channels];
            for pixel in row.chunks_exact(plane.channels) {
                for (sum, &byte) in row_sums.iter_mut().zip(pixel) {
                    let value = u32::from(byte ^ flip);
                    *sum += value * value;
                }
            }
            sums.iter_mut().zip(&*row_sums).for_each(|(sum, &row)| *sum += u64::from(row));
        }
    }
}
