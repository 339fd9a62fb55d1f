//! int8 convolutions in vectors of 16 bytes, for Cortex-M with Helium (MVE): four filters times three patches at a time.
//!
//! `VMLADAVA.S8` adds 16 products of signed bytes to a register, so a patch holds values minus 128: flipping the highest
//! bit of a u8 gives that as an i8. [`shift_biases`] adds what is missing, 128 times the sum of a filter's weights.
//!
//! K products per sum, a multiple of 4. Weights `[O / 2, K / 4, 2, 4]` i8: four of one channel, four of the next. `VLD2`
//! of words takes 32 bytes of them apart into 16 weights of each channel.

#[cfg(not(macula_mve))]
use super::super::node::Requantise;

/// Bytes of a vector.
const VECTOR: usize = 16;

/// Patches computed together.
pub(in super::super) const PATCHES: usize = 3;

/// Turns four bytes u8 into values minus 128, i8.
pub(in super::super) const SIGNS: u32 = 0x8080_8080;

/// Where the values of patches lie in the input, in bytes.
#[derive(Clone, Copy)]
#[repr(C)]
pub(in super::super) struct Windows {
    /// Rows of the kernel, not 0.
    pub rows: usize,
    /// Length of a row: columns times channels.
    pub row_len: usize,
    /// From one row to the next, in the input and in a patch.
    pub row_steps: [usize; 2],
    /// From one window to the next, and from one patch to the next.
    pub steps: [usize; 2],
}

/// Copies `count` windows of `input`, minus 128, to `patches`.
#[inline(always)]
pub(in super::super) fn copy_windows(windows: &Windows, count: usize, input: &[u8], patches: &mut [u8]) {
    let Windows { rows, row_len, row_steps, steps } = *windows;
    assert!(count > 0 && rows > 0, "there is something to copy");
    let end = [0, 1].map(|side| (count - 1) * steps[side] + (rows - 1) * row_steps[side] + row_len);
    assert!(end[0] <= input.len() && end[1] <= patches.len(), "windows and patches end in their slices");
    #[cfg(macula_mve)]
    {
        // SAFETY: the function reads rows that `input` has and writes patches that `patches` has room for.
        #[allow(unsafe_code)]
        unsafe {
            mve_copy_windows(patches.as_mut_ptr(), input.as_ptr(), windows, count);
        }
    }
    #[cfg(not(macula_mve))]
    for index in 0..count {
        for row in 0..rows {
            let from = &input[index * steps[0] + row * row_steps[0]..][..row_len];
            let to = &mut patches[index * steps[1] + row * row_steps[1]..][..row_len];
            to.iter_mut().zip(from).for_each(|(to, &value)| *to = value ^ SIGNS as u8);
        }
    }
}

/// The numbers of a convolution with O output channels.
pub(in super::super) struct Filters<'a> {
    /// `[O / 2, K / 4, 2, 4]`, at a multiple of 4.
    weights: &'a [u8],
    /// Bias, multiplier, offset and shift of each channel.
    parameters: &'a [[u32; 4]],
    /// K.
    products: usize,
}

impl<'a> Filters<'a> {
    /// Takes the weights and parameters of a blob, whose parser checked that O is a multiple of 8 and K of 4.
    pub fn new(weights: &'a [u8], parameters: &'a [u32]) -> Self {
        let parameters = parameters.as_chunks::<4>().0;
        let products = weights.len() / parameters.len();
        assert!(parameters.len().is_multiple_of(4) && products.is_multiple_of(4), "whole words of whole quads");
        assert!(weights.len() == products * parameters.len(), "filters of one length");
        Self { weights, parameters, products }
    }

    /// Words of a patch: whole vectors.
    pub fn patch_words(&self) -> usize {
        self.products.next_multiple_of(VECTOR) / 4
    }
}

/// Computes the biases of sums over values minus 128.
///
/// * `biases`: `[O]`
pub(in super::super) fn shift_biases(filters: &Filters<'_>, biases: &mut [u32]) {
    assert!(biases.len() == filters.parameters.len(), "a bias for each channel");
    #[cfg(macula_mve)]
    {
        let job = Job::new(filters, &[]);
        // SAFETY: the function reads the weights and the first of the four parameters of each channel, as many as the lengths
        // checked above say, and writes a bias for each.
        #[allow(unsafe_code)]
        unsafe {
            mve_biases(&job, filters.weights.as_ptr(), filters.parameters.as_ptr(), biases.as_mut_ptr());
        }
    }
    #[cfg(not(macula_mve))]
    portable_biases(filters, biases);
}

/// The biases in plain Rust.
#[cfg(not(macula_mve))]
fn portable_biases(filters: &Filters<'_>, biases: &mut [u32]) {
    for (channel, (bias, parameters)) in biases.iter_mut().zip(filters.parameters).enumerate() {
        let sum: i32 = (0..filters.products).map(|k| weight(filters, channel, k)).sum();
        *bias = parameters[0].wrapping_add((sum as u32) << 7);
    }
}

/// Computes all channels of [`PATCHES`] outputs.
///
/// * `biases`: `[O]`, of [`shift_biases`]
/// * `patches`: `[PATCHES, patch_words]`, values minus 128
/// * `outputs`: `[PATCHES, O / 4]`, four outputs in a word
pub(in super::super) fn convolve(filters: &Filters<'_>, biases: &[u32], patches: &[u32], outputs: &mut [u32]) {
    let channels = filters.parameters.len();
    assert!(biases.len() == channels, "a bias for each channel");
    assert!(patches.len() == PATCHES * filters.patch_words(), "patches are whole vectors");
    assert!(4 * outputs.len() == PATCHES * channels, "an output for each channel and patch");
    #[cfg(macula_mve)]
    {
        let mut job = Job::new(filters, patches);
        // SAFETY: the function reads the weights, parameters, biases and patches of K and O, and writes the outputs, whose
        // lengths were checked above.
        #[allow(unsafe_code)]
        unsafe {
            mve_convolve(&mut job, filters.weights.as_ptr(), biases.as_ptr(), outputs.as_mut_ptr().cast());
        }
    }
    #[cfg(not(macula_mve))]
    portable(filters, biases, patches, outputs);
}

/// The outputs in plain Rust.
#[cfg(not(macula_mve))]
fn portable(filters: &Filters<'_>, biases: &[u32], patches: &[u32], outputs: &mut [u32]) {
    let products = filters.products;
    let per_patch = patches.chunks_exact(filters.patch_words()).zip(outputs.chunks_exact_mut(biases.len() / 4));
    for (patch, outputs) in per_patch {
        for (quad, word) in outputs.iter_mut().enumerate() {
            *word = u32::from_le_bytes(core::array::from_fn(|at| {
                let channel = 4 * quad + at;
                let value = |k: usize| i32::from(patch[k / 4].to_le_bytes()[k % 4] as i8);
                let term = |k: usize| weight(filters, channel, k) * value(k);
                let sum = (0..products).map(term).fold(biases[channel] as i32, i32::wrapping_add);
                let [_, multiplier, offset, shift] = filters.parameters[channel];
                Requantise::from_words([0, multiplier, offset, shift]).apply(sum)
            }));
        }
    }
}

/// Weight `k` of a channel.
#[cfg(not(macula_mve))]
fn weight(filters: &Filters<'_>, channel: usize, k: usize) -> i32 {
    let pair = channel / 2 * 2 * filters.products;
    i32::from(filters.weights[pair + 8 * (k / 4) + 4 * (channel % 2) + k % 4] as i8)
}

/// What the assembly reads in memory; its offsets are in the comments.
#[cfg(macula_mve)]
#[repr(C)]
struct Job {
    /// 0, 4, 8: the patches.
    patches: [*const u32; PATCHES],
    /// 12: whole vectors of K products.
    vectors: usize,
    /// 16: words of the products that remain, 0 to 3.
    rest: usize,
    /// 20: bytes from the second of the remaining words of weights to the next pair of filters.
    rest_end: usize,
    /// 24: parameters of the next four channels.
    parameters: *const [u32; 4],
    /// 28: O.
    channels: usize,
}

#[cfg(macula_mve)]
impl Job {
    fn new(filters: &Filters<'_>, patches: &[u32]) -> Self {
        let words = filters.products / 4;
        let rest = words % 4;
        Self {
            patches: [0, 1, 2].map(|index| patches.as_ptr().wrapping_add(index * filters.patch_words())),
            vectors: words / 4,
            rest,
            rest_end: (8 * rest).wrapping_sub(4),
            parameters: filters.parameters.as_ptr(),
            channels: filters.parameters.len(),
        }
    }
}

/// Loads 16 weights of each of two channels from `$weights` to q0 and q1.
#[cfg(macula_mve)]
macro_rules! weights {
    ($weights:literal) => {
        concat!("vld20.32 {{q0, q1}}, [", $weights, "]\n vld21.32 {{q0, q1}}, [", $weights, "]!\n")
    };
}

/// Loads the weights that remain, and 0 in place of those of the next filters, which may lie outside the blob.
///
/// r9 the job, `$offsets` four times 8 bytes; overwrites lr.
#[cfg(macula_mve)]
macro_rules! rest_of_weights {
    ($weights:literal, $offsets:literal) => {
        concat!(
            "ldr lr, [r9, #16]\n vctp.32 lr\n vpst\n vldrwt.u32 q0, [",
            $weights,
            ", ",
            $offsets,
            "]\n add ",
            $weights,
            ", ",
            $weights,
            ", #4\n vpst\n vldrwt.u32 q1, [",
            $weights,
            ", ",
            $offsets,
            "]\n ldr lr, [r9, #20]\n add ",
            $weights,
            ", ",
            $weights,
            ", lr\n"
        )
    };
}

/// Twelve instructions per 96 products: five loads, six VMLADAVA and the loop; eleven for each pair of filters, and 30 for
/// the twelve outputs of two pairs.
///
/// r9 job, r11 biases, r7 outputs; in the loop r1 weights, r3, r5 and r12 patches, r0, r2 and r4 sums of the first filter, r6,
/// r8 and r10 of the second, q0 and q1 weights, q2 and q3 values; q4, q5 and q6 sums of four channels of a patch, q7 offsets.
#[cfg(macula_mve)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass memory of the lengths that `job` states. All callee-saved registers are restored.
unsafe extern "C" fn mve_convolve(job: *mut Job, weights: *const u8, biases: *const u32, outputs: *mut u8) {
    /// Sixteen products of two filters and three patches.
    macro_rules! products {
        () => {
            concat!(
                "vldrw.u32 q2, [r3], #16\n vmladava.s8 r0, q0, q2\n vldrw.u32 q3, [r5], #16\n vmladava.s8 r6, q1, q2\n",
                "vmladava.s8 r2, q0, q3\n vldrw.u32 q2, [r12], #16\n vmladava.s8 r8, q1, q3\n vmladava.s8 r4, q0, q2\n",
                "vmladava.s8 r10, q1, q2\n"
            )
        };
    }
    /// Two filters, whose sums become half of q4, q5 and q6; `$rest` may be the products that remain.
    macro_rules! pair {
        ($first:literal, $second:literal, $third:literal, $rest:expr) => {
            concat!(
                "ldrd r0, r6, [r11], #8\n mov r2, r0\n mov r4, r0\n mov r8, r6\n mov r10, r6\n",
                "ldrd r3, r5, [r9]\n ldrd r12, lr, [r9, #8]\n wls lr, lr, 3f\n",
                "2:\n",
                weights!("r1"),
                products!(),
                "le lr, 2b\n",
                "3:\n",
                $rest,
                "vmov ",
                $first,
                ", r0, r6\n vmov ",
                $second,
                ", r2, r8\n vmov ",
                $third,
                ", r4, r10\n"
            )
        };
    }
    /// Maps a vector of sums to outputs, in the low bytes.
    macro_rules! outputs {
        ($sums:literal) => {
            concat!(
                "vmulh.s32 ",
                $sums,
                ", ",
                $sums,
                ", q1\n vadd.i32 ",
                $sums,
                ", ",
                $sums,
                ", q2\n",
                "vshl.s32 ",
                $sums,
                ", ",
                $sums,
                ", q3\n vqmovunb.s32 ",
                $sums,
                ", ",
                $sums,
                "\n",
                "vqmovnb.u16 ",
                $sums,
                ", ",
                $sums,
                "\n"
            )
        };
    }
    /// All filters, four at a time.
    macro_rules! quads {
        ($rest:expr) => {
            concat!(
                "1:\n",
                pair!("d8", "d10", "d12", $rest),
                pair!("d9", "d11", "d13", $rest),
                // Biases, which the sums have, multipliers, offsets and shifts, which are to the right.
                "ldrd r3, lr, [r9, #24]\n",
                "vld40.32 {{q0, q1, q2, q3}}, [r3]\n vld41.32 {{q0, q1, q2, q3}}, [r3]\n",
                "vld42.32 {{q0, q1, q2, q3}}, [r3]\n vld43.32 {{q0, q1, q2, q3}}, [r3]!\n",
                "str r3, [r9, #24]\n vneg.s32 q3, q3\n",
                outputs!("q4"),
                outputs!("q5"),
                outputs!("q6"),
                "add r3, r7, lr\n add r5, r3, lr\n",
                "vstrb.32 q4, [r7], #4\n vstrb.32 q5, [r3]\n vstrb.32 q6, [r5]\n",
                "ldr r3, [sp]\n cmp r7, r3\n bne 1b\n"
            )
        };
    }
    core::arch::naked_asm!(
        // A naked function is assembled without the features of the target.
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, r11, r12, lr}}",
        "vpush {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "mov r9, r0",
        "mov r11, r2",
        "mov r7, r3",
        // [sp] is the end of the first patch's outputs.
        "ldr r4, [r9, #28]",
        "add r5, r3, r4",
        "push {{r4, r5}}",
        "str r5, [sp]",
        "movs r0, #0",
        "vidup.u32 q7, r0, #8",
        "ldr r0, [r9, #16]",
        "cmp r0, #0",
        "bne 4f",
        quads!(""),
        "b 5f",
        "4:",
        quads!(concat!(rest_of_weights!("r1", "q7"), products!())),
        "5:",
        "add sp, sp, #8",
        "vpop {{d8, d9, d10, d11, d12, d13, d14, d15}}",
        "pop {{r4, r5, r6, r7, r8, r9, r10, r11, r12, pc}}",
    )
}

/// Four instructions per sixteen bytes, and nine per row.
///
/// r0 patches, r1 input, r3 patches left; r6 rows, r7 length of rows, r8 and r9 their steps, r10 and r11 steps of windows
/// and patches; r4 and r5 a row, r2 and r12 within it; [sp] rows left.
#[cfg(macula_mve)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass memory of these lengths, and not 0 rows or patches. All callee-saved registers are restored.
unsafe extern "C" fn mve_copy_windows(patches: *mut u8, input: *const u8, windows: *const Windows, count: usize) {
    core::arch::naked_asm!(
        ".cpu cortex-m55",
        "push {{r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}}",
        "ldm r2, {{r6, r7, r8, r9, r10, r11}}",
        "vmov.i8 q1, #0x80",
        "1:",
        "mov r4, r0",
        "mov r5, r1",
        "str r6, [sp]",
        "2:",
        "mov r2, r4",
        "mov r12, r5",
        "wlstp.8 lr, r7, 4f",
        "3:",
        "vldrb.u8 q0, [r12], #16",
        "veor q0, q0, q1",
        "vstrb.u8 q0, [r2], #16",
        "letp lr, 3b",
        "4:",
        "add r4, r4, r9",
        "add r5, r5, r8",
        "ldr r2, [sp]",
        "subs r2, r2, #1",
        "str r2, [sp]",
        "bne 2b",
        "add r0, r0, r11",
        "add r1, r1, r10",
        "subs r3, r3, #1",
        "bne 1b",
        "pop {{r3, r4, r5, r6, r7, r8, r9, r10, r11, pc}}",
    )
}

/// Five instructions per 32 weights.
///
/// r0 weights, r1 parameters, r2 biases, r9 job, r12 end of the biases; r4 and r6 sums, q2 offsets.
#[cfg(macula_mve)]
#[allow(unsafe_code)]
#[unsafe(naked)]
// SAFETY: callers pass memory of the lengths that `job` states. All callee-saved registers are restored.
unsafe extern "C" fn mve_biases(job: *const Job, weights: *const u8, parameters: *const [u32; 4], biases: *mut u32) {
    core::arch::naked_asm!(
        ".cpu cortex-m55",
        "push {{r4, r5, r6, r7, r8, r9, r10, lr}}",
        "mov r9, r0",
        "mov r0, r1",
        "mov r1, r2",
        "mov r2, r3",
        "movs r4, #0",
        "vidup.u32 q2, r4, #8",
        "ldr r12, [r9, #28]",
        "add r12, r2, r12, lsl #2",
        "1:",
        "movs r4, #0",
        "movs r6, #0",
        "ldr lr, [r9, #12]",
        "wls lr, lr, 3f",
        "2:",
        weights!("r0"),
        "vaddva.s8 r4, q0",
        "vaddva.s8 r6, q1",
        "le lr, 2b",
        "3:",
        "ldr r3, [r9, #16]",
        "cbz r3, 4f",
        rest_of_weights!("r0", "q2"),
        "vaddva.s8 r4, q0",
        "vaddva.s8 r6, q1",
        "4:",
        "ldr r3, [r1], #16",
        "ldr r5, [r1], #16",
        "add r3, r3, r4, lsl #7",
        "add r5, r5, r6, lsl #7",
        "strd r3, r5, [r2], #8",
        "cmp r2, r12",
        "bne 1b",
        "pop {{r4, r5, r6, r7, r8, r9, r10, pc}}",
    )
}
