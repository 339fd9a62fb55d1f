//! NOR flash with power cuts, bit rot and wear.
//!
//! The content that the program sees (`live`) is separate from the content after a power cut (`durable`): writes and erases
//! reach `durable` when they are synced. This models a file under an operating system. On a chip, operations have ended when
//! their calls return: [`Cut::Clean`] and [`Cut::Torn`] keep all earlier ones. In a file, a write whose erase was lost
//! replaces bytes; in flash it clears bits.

use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};
use macula_edge::store::Flash;

use crate::seed::Seed;

/// The effect of a power cut at an operation (write, erase or sync).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Keeps everything before the operation, nothing of it.
    Clean,
    /// Keeps everything before the operation, and each bit of it by seed.
    Torn(u64),
    /// Keeps those operations since the last sync, this one included, whose bit is set: bit 0 is the oldest; operations past
    /// the 64th share bits. None of them is torn.
    Subset(u64),
    /// Keeps the same subset, with each operation torn by seed.
    TornSubset(u64, u64),
}

/// The effect of wear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WearOut {
    /// An erase past the limit is refused.
    Refuses,
    /// Some bits stay 0 after an erase past the limit.
    Sticks,
}

/// An error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SimError {
    /// The access is unaligned or out of bounds.
    Range(NorFlashErrorKind),
    /// The word at this address was programmed since its last erase.
    Rewrite(u32),
    /// The block at this address is worn out.
    Worn(u32),
    /// The power is off.
    PowerLost,
}

impl NorFlashError for SimError {
    fn kind(&self) -> NorFlashErrorKind {
        match *self {
            Self::Range(kind) => kind,
            _ => NorFlashErrorKind::Other,
        }
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Erase(usize, usize),
}

/// Flash with reads of `R`, writes of `W` and erases of `E` bytes.
#[derive(Clone, Debug)]
pub struct SimFlash<const R: usize, const W: usize, const E: usize> {
    live: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Operation>,
    /// Whether a word was programmed since its last erase.
    programmed: Vec<bool>,
    cut: Option<(u64, Cut)>,
    off: bool,
    lost: usize,
    /// Writes, erases and syncs so far.
    pub operations: u64,
    /// Reads so far.
    pub reads: u64,
    /// Erases of each block.
    pub erases: Vec<u32>,
    /// Bytes programmed in each block.
    pub bytes_programmed: Vec<u64>,
    /// Whether a word may be programmed twice without an erase.
    pub allow_rewrite: bool,
    /// Whether a write replaces bytes, as in a file, instead of clearing bits.
    pub replaces: bool,
    /// Erases that a block endures, and the effect of more.
    pub erase_limit: Option<(u32, WearOut)>,
}

impl<const R: usize, const W: usize, const E: usize> SimFlash<R, W, E> {
    /// `blocks` erased blocks.
    pub fn new(blocks: usize) -> Self {
        Self::holding(vec![0xff; blocks * E])
    }

    /// Flash with this content.
    ///
    /// # Panics
    /// When the length is not a multiple of the block.
    pub fn holding(bytes: Vec<u8>) -> Self {
        assert!(bytes.len().is_multiple_of(E), "{} bytes are not a multiple of the block, {E}", bytes.len());
        let blocks = bytes.len() / E;
        let mut flash = Self {
            durable: bytes,
            live: Vec::new(),
            unsynced: Vec::new(),
            programmed: Vec::new(),
            cut: None,
            off: false,
            lost: 0,
            operations: 0,
            reads: 0,
            erases: vec![0; blocks],
            bytes_programmed: vec![0; blocks],
            allow_rewrite: false,
            replaces: false,
            erase_limit: None,
        };
        flash.restart();
        flash
    }

    /// Plans a power cut at operation `at`, counted from 0 since the flash was made.
    pub fn cut_at(&mut self, at: u64, cut: Cut) {
        self.cut = Some((at, cut));
    }

    /// Whether the power failed.
    pub fn is_off(&self) -> bool {
        self.off
    }

    /// Operations that the last power cut could lose: those since the last sync, and its own.
    pub fn lost(&self) -> usize {
        self.lost
    }

    /// Restores the power with the durable content, and cancels a planned cut.
    pub fn restart(&mut self) {
        self.live.clone_from(&self.durable);
        self.unsynced.clear();
        self.programmed = self.live.chunks(W).map(|word| word.iter().any(|&byte| byte != 0xff)).collect();
        (self.off, self.cut) = (false, None);
    }

    /// The content that the program sees.
    pub fn bytes(&self) -> &[u8] {
        &self.live
    }

    /// Flips one bit, as leaking charge does.
    pub fn rot(&mut self, bit: usize) {
        self.live[bit / 8] ^= 1 << (bit % 8);
        self.durable[bit / 8] ^= 1 << (bit % 8);
    }

    /// Counts an operation, and cuts the power if it is planned here.
    fn begin(&mut self, operation: Option<Operation>) -> Result<(), SimError> {
        if self.off {
            return Err(SimError::PowerLost);
        }
        let number = self.operations;
        self.operations += 1;
        match self.cut {
            Some((at, cut)) if at == number => {
                self.lose_power(operation, cut);
                Err(SimError::PowerLost)
            }
            _ => Ok(()),
        }
    }

    fn lose_power(&mut self, last: Option<Operation>, cut: Cut) {
        self.off = true;
        let mut operations = std::mem::take(&mut self.unsynced);
        let earlier = operations.len();
        operations.extend(last);
        self.lost = operations.len();
        for (index, operation) in operations.iter().enumerate() {
            let kept = |mask: u64| mask >> (index % 64) & 1 == 1;
            match cut {
                Cut::Clean | Cut::Torn(_) if index < earlier => {
                    apply(&mut self.durable, operation, None, self.replaces)
                }
                Cut::Clean => {}
                Cut::Torn(seed) => apply(&mut self.durable, operation, Some(&mut Seed::new(seed)), self.replaces),
                Cut::Subset(mask) if kept(mask) => apply(&mut self.durable, operation, None, self.replaces),
                Cut::TornSubset(mask, seed) if kept(mask) => {
                    apply(
                        &mut self.durable,
                        operation,
                        Some(&mut Seed::new(seed ^ (index as u64) << 32)),
                        self.replaces,
                    );
                }
                Cut::Subset(_) | Cut::TornSubset(..) => {}
            }
        }
    }

    fn wear(&mut self, block: usize) -> Result<(), SimError> {
        self.erases[block] += 1;
        match self.erase_limit {
            Some((limit, WearOut::Refuses)) if self.erases[block] > limit => Err(SimError::Worn((block * E) as u32)),
            _ => Ok(()),
        }
    }

    /// Sets bits of a worn block to 0 after its erase, the same ones each time.
    fn stick(&mut self, block: usize) {
        let mut seed = Seed::new(block as u64);
        for _ in 0..4 {
            let bit = block * E * 8 + seed.below(E as u64 * 8) as usize;
            self.live[bit / 8] &= !(1 << (bit % 8));
        }
    }
}

/// Applies an operation; with a seed, each bit that it would change changes or not.
fn apply(bytes: &mut [u8], operation: &Operation, mut torn: Option<&mut Seed>, replaces: bool) {
    // A torn operation is barely begun, halfway or nearly done.
    let density = torn.as_mut().map_or(0, |seed| seed.below(4));
    let mut mask = || match (&mut torn, density) {
        (None, _) => 0xff,
        (Some(seed), 0) => (seed.next_u64() & seed.next_u64() & seed.next_u64()) as u8,
        (Some(seed), 1) => (seed.next_u64() | seed.next_u64() | seed.next_u64()) as u8,
        // Whole bytes change or not.
        (Some(seed), 2) => 0u8.wrapping_sub(seed.next_u64() as u8 & 1),
        (Some(seed), _) => seed.next_u64() as u8,
    };
    match operation {
        Operation::Write(offset, written) => {
            for (byte, &value) in bytes[*offset..].iter_mut().zip(written) {
                let changed = mask();
                *byte = *byte & !changed | if replaces { value } else { value & *byte } & changed;
            }
        }
        Operation::Erase(from, to) => bytes[*from..*to].iter_mut().for_each(|byte| *byte |= mask()),
    }
}

impl<const R: usize, const W: usize, const E: usize> ErrorType for SimFlash<R, W, E> {
    type Error = SimError;
}

impl<const R: usize, const W: usize, const E: usize> ReadNorFlash for SimFlash<R, W, E> {
    const READ_SIZE: usize = R;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), SimError> {
        if self.off {
            return Err(SimError::PowerLost);
        }
        check_read(self, offset, bytes.len()).map_err(SimError::Range)?;
        self.reads += 1;
        bytes.copy_from_slice(&self.live[offset as usize..][..bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.live.len()
    }
}

impl<const R: usize, const W: usize, const E: usize> NorFlash for SimFlash<R, W, E> {
    const WRITE_SIZE: usize = W;
    const ERASE_SIZE: usize = E;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), SimError> {
        check_erase(self, from, to).map_err(SimError::Range)?;
        let (from, to) = (from as usize, to as usize);
        let operation = Operation::Erase(from, to);
        self.begin(Some(operation.clone()))?;
        for block in from / E..to / E {
            self.wear(block)?;
        }
        apply(&mut self.live, &operation, None, self.replaces);
        self.unsynced.push(operation);
        self.programmed[from / W..to / W].fill(false);
        if let Some((limit, WearOut::Sticks)) = self.erase_limit {
            let worn: Vec<usize> = (from / E..to / E).filter(|&block| self.erases[block] > limit).collect();
            for block in worn {
                self.stick(block);
                self.unsynced.push(Operation::Write(block * E, self.live[block * E..(block + 1) * E].to_vec()));
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), SimError> {
        check_write(self, offset, bytes.len()).map_err(SimError::Range)?;
        let at = offset as usize;
        let words = at / W..(at + bytes.len()) / W;
        if !self.allow_rewrite
            && let Some(word) = words.clone().find(|&word| self.programmed[word])
        {
            return Err(SimError::Rewrite((word * W) as u32));
        }
        let operation = Operation::Write(at, bytes.to_vec());
        self.begin(Some(operation.clone()))?;
        apply(&mut self.live, &operation, None, self.replaces);
        self.unsynced.push(operation);
        self.programmed[words].fill(true);
        self.bytes_programmed[at / E] += bytes.len() as u64;
        Ok(())
    }
}

impl<const R: usize, const W: usize, const E: usize> Flash for SimFlash<R, W, E> {
    fn sync(&mut self) -> Result<(), SimError> {
        self.begin(None)?;
        self.durable.clone_from(&self.live);
        self.unsynced.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Small = SimFlash<1, 4, 64>;

    #[test]
    fn writes_clear_bits_once() {
        let mut flash = Small::new(2);
        flash.write(4, &[0x0f; 4]).unwrap();
        assert_eq!(flash.bytes()[2..10], [0xff, 0xff, 0x0f, 0x0f, 0x0f, 0x0f, 0xff, 0xff]);
        assert_eq!(flash.write(4, &[0; 4]), Err(SimError::Rewrite(4)));
        assert_eq!(flash.write(2, &[0; 4]), Err(SimError::Range(NorFlashErrorKind::NotAligned)));
        assert_eq!(flash.write(128, &[0; 4]), Err(SimError::Range(NorFlashErrorKind::OutOfBounds)));
        flash.allow_rewrite = true;
        flash.write(4, &[0xf1; 4]).unwrap();
        assert_eq!(flash.bytes()[4], 0x01);
        flash.erase(0, 64).unwrap();
        assert!(flash.bytes().iter().all(|&byte| byte == 0xff));
        assert_eq!(
            (flash.erases.as_slice(), flash.bytes_programmed.as_slice()),
            ([1, 0].as_slice(), [8, 0].as_slice())
        );
    }

    fn after(cut: Cut) -> Vec<u8> {
        let mut flash = Small::new(1);
        flash.write(0, &[1; 4]).unwrap();
        flash.sync().unwrap();
        flash.cut_at(4, cut);
        flash.write(4, &[2; 4]).unwrap();
        flash.write(8, &[3; 4]).unwrap();
        assert_eq!(flash.write(12, &[4; 4]), Err(SimError::PowerLost));
        assert!(flash.is_off() && flash.read(0, &mut [0]).is_err());
        flash.restart();
        flash.bytes()[..16].to_vec()
    }

    #[test]
    fn a_power_cut_keeps_the_operations_of_its_kind() {
        let bytes = |words: [u8; 4]| words.iter().flat_map(|&word| [word; 4]).collect::<Vec<_>>();
        assert_eq!(after(Cut::Clean), bytes([1, 2, 3, 0xff]));
        assert_eq!(after(Cut::Subset(0b110)), bytes([1, 0xff, 3, 4]));
        assert_eq!(after(Cut::Subset(0)), bytes([1, 0xff, 0xff, 0xff]));
        let torn: Vec<_> = (0..50).map(|seed| after(Cut::Torn(seed))).collect();
        assert!(torn.iter().all(|found| found[..12] == bytes([1, 2, 3, 4])[..12]));
        assert!(torn.iter().all(|found| found[12..].iter().all(|byte| byte & 4 == 4)), "only bits of the write change");
        assert!(torn.iter().any(|found| found[12..] != [4; 4] && found[12..] != [0xff; 4]), "no write was ever torn");
    }

    #[test]
    fn worn_blocks_refuse_or_stick() {
        let mut flash = Small::new(1);
        flash.erase_limit = Some((1, WearOut::Refuses));
        flash.erase(0, 64).unwrap();
        assert_eq!(flash.erase(0, 64), Err(SimError::Worn(0)));
        flash.erase_limit = Some((1, WearOut::Sticks));
        flash.erase(0, 64).unwrap();
        assert!(flash.bytes().iter().any(|&byte| byte != 0xff));
    }
}
