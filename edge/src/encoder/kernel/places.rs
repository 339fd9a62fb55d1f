//! Products of transformed tiles: at each place of a tile, two filters times two tiles, four sums of products.
//!
//! C products per sum, a multiple of 8, two in a word. Filters and tiles have the same form: a [`Group`] for each four
//! channels.

use super::lanes::unpack;

/// Places of a tile.
pub(in super::super) const PLACES: usize = 16;

/// Four channels of two filters, or of two tiles: at each place two words of the first and two of the second.
pub(in super::super) type Group = [[u32; 4]; PLACES];

/// Sums of products modulo 2^32, at each place: `[filter 0 with tile 0, filter 0 with tile 1, filter 1 with tile 0, filter
/// 1 with tile 1]`.
pub(in super::super) type Sums = [[i32; 4]; PLACES];

/// Computes `sums`. If the lengths differ, the shorter counts.
pub(in super::super) fn products(filters: &[Group], tiles: &[Group], sums: &mut Sums) {
    let groups = filters.len().min(tiles.len());
    #[cfg(macula_dsp)]
    if groups > 0 && groups.is_multiple_of(2) {
        // SAFETY: both slices have `groups` groups, which are even and not 0, and `sums` has four words for each place.
        #[allow(unsafe_code)]
        unsafe {
            smlad_2x2(filters.as_ptr(), tiles.as_ptr(), sums, groups);
        }
        return;
    }
    portable(&filters[..groups], &tiles[..groups], sums);
}

/// The sums in plain Rust.
fn portable(filters: &[Group], tiles: &[Group], sums: &mut Sums) {
    for (place, sums) in sums.iter_mut().enumerate() {
        *sums = [0; 4];
        for (filters, tiles) in filters.iter().zip(tiles) {
            let (filters, tiles) = (filters[place].map(unpack), tiles[place].map(unpack));
            for (index, sum) in sums.iter_mut().enumerate() {
                let (filter, tile) = (2 * (index / 2), 2 * (index % 2));
                for word in 0..2 {
                    let ([a, b], [c, d]) = (filters[filter + word].map(i32::from), tiles[tile + word].map(i32::from));
                    *sum = sum.wrapping_add(a * c + b * d);
                }
            }
        }
    }
}

/// Twelve instructions per 16 products, four loads and eight SMLAD; two per 32 products for the loop, and seven per place.
///
/// r0 filters, r1 tiles, r2 sums, r3 end of the filters at this place; r4 to r7 filters; r8 and r9 a tile; r10, r11, r12
/// and lr sums. LDRD accepts these pairs and offsets in the Arm encoding too, so armv7 Linux can run and test this.
#[cfg(macula_dsp)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass `groups` of filters and tiles, an even number and not 0. All callee-saved registers are restored.
unsafe extern "C" fn smlad_2x2(filters: *const Group, tiles: *const Group, sums: *mut Sums, groups: usize) {
    /// A group of four channels. `first` begins the sums, with SMUAD; `next` adds to them, with SMLAD.
    macro_rules! group {
        (first) => {
            concat!(
                "ldrd r4, r5, [r0], #8\n ldrd r8, r9, [r1], #8\n ldrd r6, r7, [r0], #248\n",
                "smuad r10, r4, r8\n smuad r12, r6, r8\n smlad r10, r5, r9, r10\n smlad r12, r7, r9, r12\n",
                "ldrd r8, r9, [r1], #248\n",
                "smuad r11, r4, r8\n smuad lr, r6, r8\n smlad r11, r5, r9, r11\n smlad lr, r7, r9, lr"
            )
        };
        (next) => {
            concat!(
                "ldrd r4, r5, [r0], #8\n ldrd r8, r9, [r1], #8\n ldrd r6, r7, [r0], #248\n",
                "smlad r10, r4, r8, r10\n smlad r12, r6, r8, r12\n smlad r10, r5, r9, r10\n smlad r12, r7, r9, r12\n",
                "ldrd r8, r9, [r1], #248\n",
                "smlad r11, r4, r8, r11\n smlad lr, r6, r8, lr\n smlad r11, r5, r9, r11\n smlad lr, r7, r9, lr"
            )
        };
    }
    core::arch::naked_asm!(
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        // [sp] is the end of the sums, [sp, #4] the way from the end of a place to the next.
        "add r4, r2, #256",
        "lsl r5, r3, #8",
        "add r3, r0, r5",
        "rsb r5, r5, #16",
        "push {{r4, r5}}",
        "2:",
        group!(first),
        group!(next),
        "cmp r0, r3",
        "beq 4f",
        "3:",
        group!(next),
        group!(next),
        "cmp r0, r3",
        "bne 3b",
        "4:",
        "ldrd r4, r5, [sp]",
        "stm r2!, {{r10, r11, r12, lr}}",
        "add r0, r0, r5",
        "add r1, r1, r5",
        "add r3, r3, #16",
        "cmp r2, r4",
        "bne 2b",
        "add sp, sp, #8",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
    )
}

#[cfg(test)]
mod tests {
    use super::super::random::numbers;
    use super::*;

    /// Compares both versions with sums written out from the definition.
    #[test]
    fn sums_equal_the_definition() {
        let mut random = numbers();
        let mut next = || {
            let state = random();
            // Numbers of at most 1152, as those of transformed filters.
            let number = |bits: u32| (bits % 2305).wrapping_sub(1152) & 0xffff;
            number(state >> 20) | number(state >> 8 & 0xfff) << 16
        };
        for groups in 0..=10 {
            let mut draw = || core::array::from_fn(|_| core::array::from_fn(|_| core::array::from_fn(|_| next())));
            let (filters, tiles): ([Group; 10], [Group; 10]) = (draw(), draw());
            let (filters, tiles) = (&filters[..groups], &tiles[..groups]);
            let expected: Sums = core::array::from_fn(|place| {
                core::array::from_fn(|index| {
                    let mut sum = 0;
                    for (filters, tiles) in filters.iter().zip(tiles) {
                        for word in 0..2 {
                            let filter = unpack(filters[place][2 * (index / 2) + word]);
                            let tile = unpack(tiles[place][2 * (index % 2) + word]);
                            sum += (0..2).map(|half| i32::from(filter[half]) * i32::from(tile[half])).sum::<i32>();
                        }
                    }
                    sum
                })
            });
            let (mut found, mut plain) = ([[7; 4]; PLACES], [[7; 4]; PLACES]);
            products(filters, tiles, &mut found);
            portable(filters, tiles, &mut plain);
            assert_eq!((found, plain), (expected, expected), "{groups} groups");
        }
    }
}
