//! The bits of a scan and its Huffman codes, read for their lengths alone.

use super::super::refusal::Refusal;

const LOOKUP_BITS: u32 = 16;

/// Equal bytes after the last block that are no sign of damage.
const PADDING_MAX: usize = 64;

/// A Huffman table: for each of the next 16 bits, how long the code is and which symbol it has.
pub(super) struct Huffman {
    /// Length in bits, 0 where no code begins like this; symbol.
    lookup: Vec<(u8, u8)>,
}

impl Huffman {
    /// * `counts`: how many codes have 1, 2, … 16 bits
    /// * `symbols`: in the order of their codes
    pub fn new(counts: &[u8; 16], symbols: &[u8]) -> Result<Self, Refusal> {
        let mut lookup = vec![(0, 0); 1 << LOOKUP_BITS];
        let (mut next, mut symbols) = (0usize, symbols.iter());
        for (length, &count) in (1u32..).zip(counts) {
            for _ in 0..count {
                let symbol = *symbols.next().ok_or("its Huffman table is cut off")?;
                let covered = 1usize << (LOOKUP_BITS - length);
                let place = lookup.get_mut(next..next + covered).ok_or("its Huffman table has too many codes")?;
                place.fill((length as u8, symbol));
                next += covered;
            }
        }
        Ok(Self { lookup })
    }
}

/// The entropy-coded bytes from one marker to the next, as bits.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    /// The next byte to be taken.
    at: usize,
    buffer: u64,
    /// Valid bits of `buffer`, its lowest ones.
    len: u32,
}

impl<'a> Bits<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at, buffer: 0, len: 0 }
    }

    /// Fills the buffer up to the next marker; after `0xFF` a 0 is stuffed.
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

    /// Takes `count` bits, 16 at most.
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
        let (length, symbol) = table.lookup[window as usize & ((1 << LOOKUP_BITS) - 1)];
        match u32::from(length) {
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
        format!("the JPEG is truncated or damaged: its coded pixels end at byte {}", self.at).into()
    }

    /// Ends a scan or the part of it before a restart marker; gives the place of the marker that follows.
    ///
    /// Less than a byte is padding. Whole bytes that nobody has read mean that blocks were lost, unless they are few and
    /// equal: some cameras fill up with them.
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
            false => {
                Err(format!("the JPEG is damaged: {} coded bytes before byte {} show nothing", left.len(), self.at)
                    .into())
            }
        }
    }
}
