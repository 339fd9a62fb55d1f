//! Two numbers of 16 bits in a word.

/// Widens a word of four i8 to two words: the first and third, the second and fourth.
#[inline(always)]
pub(in super::super) fn widen_signed(word: u32) -> [u32; 2] {
    #[cfg(macula_dsp)]
    {
        let (even, odd);
        // SAFETY: these instructions read and write registers only.
        #[allow(unsafe_code)]
        unsafe {
            core::arch::asm!("sxtb16 {}, {}", out(reg) even, in(reg) word, options(pure, nomem, nostack, preserves_flags));
            core::arch::asm!("sxtb16 {}, {}, ror #8", out(reg) odd, in(reg) word, options(pure, nomem, nostack, preserves_flags));
        }
        [even, odd]
    }
    #[cfg(not(macula_dsp))]
    {
        let [a, b, c, d] = word.to_le_bytes().map(|byte| byte as i8 as i16);
        [pack(a, c), pack(b, d)]
    }
}

/// Sums of the low and of the high halves, modulo 2^16.
#[inline(always)]
pub(in super::super) fn add(left: u32, right: u32) -> u32 {
    #[cfg(macula_dsp)]
    {
        let sum;
        // SAFETY: this instruction reads and writes registers only. It sets the GE flags, which no compiled code reads.
        #[allow(unsafe_code)]
        unsafe {
            core::arch::asm!("sadd16 {}, {}, {}", out(reg) sum, in(reg) left, in(reg) right, options(pure, nomem, nostack));
        }
        sum
    }
    #[cfg(not(macula_dsp))]
    {
        let ([a, b], [c, d]) = (unpack(left), unpack(right));
        pack(a.wrapping_add(c), b.wrapping_add(d))
    }
}

/// Differences of the low and of the high halves, modulo 2^16.
#[inline(always)]
pub(in super::super) fn subtract(left: u32, right: u32) -> u32 {
    #[cfg(macula_dsp)]
    {
        let difference;
        // SAFETY: as in `add`.
        #[allow(unsafe_code)]
        unsafe {
            core::arch::asm!("ssub16 {}, {}, {}", out(reg) difference, in(reg) left, in(reg) right, options(pure, nomem, nostack));
        }
        difference
    }
    #[cfg(not(macula_dsp))]
    {
        let ([a, b], [c, d]) = (unpack(left), unpack(right));
        pack(a.wrapping_sub(c), b.wrapping_sub(d))
    }
}

/// A word of two numbers, the first in its low half.
#[cfg(any(not(macula_dsp), test))]
fn pack(low: i16, high: i16) -> u32 {
    u32::from(low as u16) | u32::from(high as u16) << 16
}

/// The two numbers of a word.
pub(super) fn unpack(word: u32) -> [i16; 2] {
    [word as i16, (word >> 16) as i16]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_apart() {
        let numbers = [0, 1, -1, 1020, -1020, i16::MAX, i16::MIN];
        for [a, b] in numbers.map(|a| numbers.map(|b| [a, b])).concat() {
            for [c, d] in numbers.map(|c| numbers.map(|d| [c, d])).concat() {
                let (left, right) = (pack(a, b), pack(c, d));
                assert_eq!(unpack(add(left, right)), [a.wrapping_add(c), b.wrapping_add(d)]);
                assert_eq!(unpack(subtract(left, right)), [a.wrapping_sub(c), b.wrapping_sub(d)]);
            }
        }
        let bytes = [-128_i8, 127, -1, 5];
        let word = u32::from_le_bytes(bytes.map(|byte| byte as u8));
        assert_eq!(widen_signed(word).map(unpack), [[-128, -1], [127, 5]]);
    }
}
