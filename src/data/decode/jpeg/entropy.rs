//! Reads the bits of a scan and the lengths of its Huffman codes.

use super::super::refusal::Refusal;

const LOOKUP_BITS: u32 = 16;

/// Equal bytes allowed after the last block.
const PADDING_MAX: usize = 64;

/// Bits of a code that one table lookup decodes; longer codes are rare.
const SHORT_BITS: u32 = 9;

/// A Huffman table of canonical codes: the codes of one length are consecutive, followed by those of the next length.
pub(super) struct Huffman {
    /// Length in bits and symbol for the next [`SHORT_BITS`] bits; length 0 if the code is longer or invalid.
    short: Vec<(u8, u8)>,
    /// For each length of 1 to 16 bits, the first 16-bit value after its codes.
    ends: [u32; 17],
    /// For each length, the difference between a code and the position of its symbol.
    shifts: [i32; 17],
    symbols: Vec<u8>,
}

impl Huffman {
    /// * `counts`: number of codes of 1, 2, … 16 bits
    /// * `symbols`: in the order of their codes
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Refusal> {
        let mut table =
            Self { short: vec![(0, 0); 1 << SHORT_BITS], ends: [0; 17], shifts: [0; 17], symbols: symbols.to_vec() };
        let (mut code, mut place) = (0u32, 0usize);
        for (length, &count) in (1u32..).zip(counts) {
            let codes = code..code + u32::from(count);
            if codes.end > 1 << length || place + usize::from(count) > symbols.len() {
                return Err("the Huffman table has too many codes".into());
            }
            table.shifts[length as usize] = place as i32 - code as i32;
            for code in codes.clone().filter(|_| length <= SHORT_BITS) {
                let first = (code << (SHORT_BITS - length)) as usize;
                table.short[first..first + (1 << (SHORT_BITS - length))].fill((length as u8, symbols[place]));
                place += 1;
            }
            if length > SHORT_BITS {
                place += usize::from(count);
            }
            table.ends[length as usize] = codes.end << (LOOKUP_BITS - length);
            code = codes.end << 1;
        }
        Ok(table)
    }

    /// Length and symbol of the code at the start of the 16 bits `window`; length 0 if there is none.
    fn find(&self, window: u32) -> (u32, u8) {
        let (length, symbol) = self.short[(window >> (LOOKUP_BITS - SHORT_BITS)) as usize];
        if length > 0 {
            return (length.into(), symbol);
        }
        let longer = (SHORT_BITS + 1..=LOOKUP_BITS).find(|&length| window < self.ends[length as usize]);
        let Some(length) = longer else { return (0, 0) };
        let place = (window >> (LOOKUP_BITS - length)) as i32 + self.shifts[length as usize];
        match usize::try_from(place).ok().and_then(|place| self.symbols.get(place)) {
            Some(&symbol) => (length, symbol),
            None => (0, 0),
        }
    }
}

/// The entropy-coded bytes from one marker to the next, as bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// Position of the next byte.
    at: usize,
    buffer: u64,
    /// Number of valid bits in `buffer`, the lowest ones.
    len: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, len: 0 }
    }

    /// Fills the buffer up to the next marker. A 0 after `0xFF` is a stuffed byte.
    fn refill(&mut self) {
        while self.len <= 48 {
            let Some(&byte) = self.bytes.get(self.at) else { return };
            if byte == 0xFF {
                if self.bytes.get(self.at + 1) != Some(&0) {
                    return;
                }
                self.at += 1;
            }
            self.at += 1;
            self.buffer = self.buffer << 8 | u64::from(byte);
            self.len += 8;
        }
    }

    /// Takes at most 16 bits.
    pub fn take(&mut self, count: u32) -> Result<u32, Refusal> {
        if self.len < count {
            self.refill();
            if self.len < count {
                return Err(self.ended());
            }
        }
        self.len -= count;
        Ok((self.buffer >> self.len) as u32 & ((1 << count) - 1))
    }

    /// Takes the next symbol of `table`.
    pub fn symbol(&mut self, table: &Huffman) -> Result<u8, Refusal> {
        if self.len < LOOKUP_BITS {
            self.refill();
        }
        let window = match self.len.checked_sub(LOOKUP_BITS) {
            Some(more) => self.buffer >> more,
            None => self.buffer << (LOOKUP_BITS - self.len),
        };
        let (length, symbol) = table.find(window as u32 & ((1 << LOOKUP_BITS) - 1));
        match length {
            0 if self.len < LOOKUP_BITS => Err(self.ended()),
            0 => Err(format!("the JPEG is damaged: no Huffman code near byte {}", self.at).into()),
            length if length > self.len => Err(self.ended()),
            length => {
                self.len -= length;
                Ok(symbol)
            }
        }
    }

    fn ended(&self) -> Refusal {
        format!("the JPEG is truncated or damaged: the coded pixels end at byte {}", self.at).into()
    }

    /// Ends a scan or a restart interval and returns the position of the next marker.
    ///
    /// Less than a byte is padding. Whole unread bytes mean that blocks were lost, unless they are few and equal: some
    /// cameras write such padding.
    pub fn finish(mut self) -> Result<usize, Refusal> {
        let unread = (self.len / 8) as usize;
        let mut left: Vec<u8> = (0..unread).map(|byte| (self.buffer >> (8 * byte)) as u8).collect();
        self.len = 0;
        loop {
            self.buffer = 0;
            self.refill();
            if self.len == 0 {
                break;
            }
            left.extend_from_slice(&self.buffer.to_be_bytes()[8 - (self.len / 8) as usize..]);
            self.len = 0;
        }
        match left.len() <= PADDING_MAX && left.iter().all(|byte| *byte == left[0]) {
            true => Ok(self.at),
            false => Err(format!(
                "the JPEG is damaged: {} coded bytes before byte {} belong to no block",
                left.len(),
                self.at
            )
            .into()),
        }
    }
}
