//! AMX: tile registers of 16 rows of 64 bytes, and one instruction for 16 × 16 × 32 multiply-adds (Intel 64 and IA-32
//! Architectures Software Developer's Manual, chapter 18 of volume 1).
//!
//! Four tiles of the result stay in registers 0 to 3.
#![allow(unsafe_code)] // Tile registers have no stable intrinsics.

use std::arch::asm;
use std::mem::MaybeUninit;
use std::sync::OnceLock;

use super::layout::{COLUMNS, Product, ROWS_MAX, Step, Tile};

/// Whether the CPU has AMX-BF16 and the kernel lets this process use its registers, which it is asked for once.
pub(super) fn is_available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_amx_bf16() && super::convert::is_available() && request_permission())
}

fn has_amx_bf16() -> bool {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    if __cpuid(0).eax < 7 {
        return false;
    }
    // EDX of leaf 7: bit 22 AMX-BF16, bit 24 AMX-TILE.
    let found = __cpuid_count(7, 0).edx;
    found & (1 << 22) != 0 && found & (1 << 24) != 0
}

/// Linux gives a process the 8 KiB of tile registers on request: `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
#[cfg(target_os = "linux")]
fn request_permission() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: u64 = 0x1023;
    const XFEATURE_XTILEDATA: u64 = 18;
    let result: i64;
    // SAFETY: this system call reads no memory of this process; it overwrites rcx and r11.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

#[cfg(not(target_os = "linux"))]
fn request_permission() -> bool {
    false
}

/// The operand of `ldtilecfg`.
#[repr(C, align(64))]
struct TileConfig {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    bytes_per_row: [u16; 16],
    rows: [u8; 16],
}

/// Registers 0 to 3 are the result, 4 and those after it the left matrix, all of `rows` rows, and the last `width` of the eight the right
/// matrix.
fn configure(rows: usize, width: usize) {
    let mut config = TileConfig { palette: 1, start_row: 0, reserved: [0; 14], bytes_per_row: [0; 16], rows: [0; 16] };
    for register in 0..8 {
        config.bytes_per_row[register] = 64;
        config.rows[register] = if register < 8 - width { rows as u8 } else { 16 };
    }
    // SAFETY: the operand is 64 bytes; the registers belong to this thread, and nothing else uses them.
    unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const config, options(nostack, readonly)) };
}

pub(super) fn run(product: Product<'_>) {
    assert!(!product.steps.is_empty(), "a product without an inner dimension");
    let blocks = product.blocks();
    let (mut block, mut configured) = (0, 0);
    while block < blocks {
        let width = if block + 1 < blocks { 2 } else { 1 };
        if configured != width {
            configure(product.rows, width);
            configured = width;
        }
        for tiles in product.tiles.chunks(4 / width) {
            // SAFETY: `Product::check` checks the largest offsets against the slices' lengths.
            unsafe { multiply(&product, tiles, block, width) };
        }
        block += width;
    }
    // SAFETY: clears the registers of this thread, so that a switch of threads need not save them.
    unsafe { asm!("tilerelease", options(nostack, nomem)) };
}

/// Up to 4 / `width` tiles by `width` blocks. Register `width * i + j` holds tile i by block j. Without an i-th tile the last one is
/// computed again, and not stored.
///
/// SAFETY: the rows of `tiles`, the steps and the blocks lie inside their slices.
unsafe fn multiply(product: &Product<'_>, tiles: &[Tile], block: usize, width: usize) {
    let mut aside = MaybeUninit::<[[f32; ROWS_MAX * COLUMNS]; 4]>::uninit();
    let tile = |register: usize| tiles[(register / width).min(tiles.len() - 1)];
    // A block that is not full does not fit the result's row: its tile goes through `aside`.
    let columns = |register: usize| product.width(block + register % width);
    let unused = |register: usize| register / width >= tiles.len();
    let goes_aside = |register: usize| unused(register) || columns(register) < COLUMNS;
    // SAFETY: as for this function; a tile of 16 rows fits `aside`.
    unsafe {
        let base = product.out.as_ptr().cast_mut();
        let out = |register: usize| base.add(tile(register).out + (block + register % width) * COLUMNS);
        let (mut target, mut stride) = ([std::ptr::null_mut::<f32>(); 4], [product.out_row * 4; 4]);
        for register in 0..4 {
            target[register] = out(register);
            if goes_aside(register) {
                let aside = aside.as_mut_ptr().cast::<f32>().add(register * ROWS_MAX * COLUMNS);
                (target[register], stride[register]) = (aside, COLUMNS * 4);
                if product.accumulate && !unused(register) {
                    for row in 0..product.rows {
                        let source = out(register).add(row * product.out_row);
                        aside.add(row * COLUMNS).copy_from_nonoverlapping(source, columns(register));
                    }
                }
            }
        }
        if product.accumulate {
            load(target, stride);
        } else {
            asm!("tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
        }
        let left = |register: usize| product.left.as_ptr().add(tile(register).left);
        let right = |index: usize| product.right.as_ptr().add((block + index) * product.right_block);
        let bytes = product.left_row * 2;
        match width {
            1 => sum_four_by_one(product.steps, [left(0), left(1), left(2), left(3)], bytes, right(0)),
            _ => sum_two_by_two(product.steps, [left(0), left(2)], bytes, [right(0), right(1)]),
        }
        store(target, stride);
        for register in (0..4).filter(|&register| goes_aside(register) && !unused(register)) {
            for row in 0..product.rows {
                let source = target[register].add(row * COLUMNS);
                out(register).add(row * product.out_row).copy_from_nonoverlapping(source, columns(register));
            }
        }
    }
}

/// Fills registers 0 to 3.
///
/// SAFETY: each place holds all rows, `stride` bytes apart.
#[inline(always)]
unsafe fn load(place: [*mut f32; 4], stride: [usize; 4]) {
    // SAFETY: as for this function.
    unsafe {
        asm!(
            "tileloadd tmm0, [{a} + {sa}]",
            "tileloadd tmm1, [{b} + {sb}]",
            "tileloadd tmm2, [{c} + {sc}]",
            "tileloadd tmm3, [{d} + {sd}]",
            a = in(reg) place[0], b = in(reg) place[1], c = in(reg) place[2], d = in(reg) place[3],
            sa = in(reg) stride[0], sb = in(reg) stride[1], sc = in(reg) stride[2], sd = in(reg) stride[3],
            options(nostack, readonly),
        );
    }
}

/// Stores registers 0 to 3.
///
/// SAFETY: as for [`load`].
#[inline(always)]
unsafe fn store(place: [*mut f32; 4], stride: [usize; 4]) {
    // SAFETY: as for this function.
    unsafe {
        asm!(
            "tilestored [{a} + {sa}], tmm0",
            "tilestored [{b} + {sb}], tmm1",
            "tilestored [{c} + {sc}], tmm2",
            "tilestored [{d} + {sd}], tmm3",
            a = in(reg) place[0], b = in(reg) place[1], c = in(reg) place[2], d = in(reg) place[3],
            sa = in(reg) stride[0], sb = in(reg) stride[1], sc = in(reg) stride[2], sd = in(reg) stride[3],
            options(nostack),
        );
    }
}

/// Adds all steps to registers 0 to 3: two tiles of rows by two blocks of columns, so that each loaded tile serves twice.
///
/// SAFETY: the registers are configured, and every step lies inside the matrices.
#[inline(always)]
unsafe fn sum_two_by_two(steps: &[Step], left: [*const u16; 2], left_bytes: usize, right: [*const u16; 2]) {
    // SAFETY: as for this function. A step holds two offsets of 2-byte values.
    unsafe {
        asm!(
            "2:",
            "mov {at:e}, dword ptr [{step}]",
            "lea {place}, [{left0} + 2 * {at}]",
            "tileloadd tmm4, [{place} + {left_bytes}]",
            "lea {place}, [{left1} + 2 * {at}]",
            "tileloadd tmm5, [{place} + {left_bytes}]",
            "mov {at:e}, dword ptr [{step} + 4]",
            "lea {place}, [{right0} + 2 * {at}]",
            "tileloadd tmm6, [{place} + {tile_bytes}]",
            "lea {place}, [{right1} + 2 * {at}]",
            "tileloadd tmm7, [{place} + {tile_bytes}]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "add {step}, 8",
            "dec {count}",
            "jnz 2b",
            step = inout(reg) steps.as_ptr() => _,
            count = inout(reg) steps.len() => _,
            left0 = in(reg) left[0],
            left1 = in(reg) left[1],
            left_bytes = in(reg) left_bytes,
            right0 = in(reg) right[0],
            right1 = in(reg) right[1],
            tile_bytes = in(reg) 64usize,
            at = out(reg) _,
            place = out(reg) _,
            options(nostack, readonly),
        );
    }
}

/// As [`sum_two_by_two`], four tiles of rows by one block of columns.
///
/// SAFETY: as for [`sum_two_by_two`].
#[inline(always)]
unsafe fn sum_four_by_one(steps: &[Step], left: [*const u16; 4], left_bytes: usize, right: *const u16) {
    // SAFETY: as for this function. A step holds two offsets of 2-byte values.
    unsafe {
        asm!(
            "2:",
            "mov {at:e}, dword ptr [{step} + 4]",
            "lea {place}, [{right} + 2 * {at}]",
            "tileloadd tmm7, [{place} + {tile_bytes}]",
            "mov {at:e}, dword ptr [{step}]",
            "lea {place}, [{left0} + 2 * {at}]",
            "tileloadd tmm4, [{place} + {left_bytes}]",
            "lea {place}, [{left1} + 2 * {at}]",
            "tileloadd tmm5, [{place} + {left_bytes}]",
            "lea {place}, [{left2} + 2 * {at}]",
            "tileloadd tmm6, [{place} + {left_bytes}]",
            "tdpbf16ps tmm0, tmm4, tmm7",
            "lea {place}, [{left3} + 2 * {at}]",
            "tileloadd tmm4, [{place} + {left_bytes}]",
            "tdpbf16ps tmm1, tmm5, tmm7",
            "tdpbf16ps tmm2, tmm6, tmm7",
            "tdpbf16ps tmm3, tmm4, tmm7",
            "add {step}, 8",
            "dec {count}",
            "jnz 2b",
            step = inout(reg) steps.as_ptr() => _,
            count = inout(reg) steps.len() => _,
            left0 = in(reg) left[0],
            left1 = in(reg) left[1],
            left2 = in(reg) left[2],
            left3 = in(reg) left[3],
            left_bytes = in(reg) left_bytes,
            right = in(reg) right,
            tile_bytes = in(reg) 64usize,
            at = out(reg) _,
            place = out(reg) _,
            options(nostack, readonly),
        );
    }
}
