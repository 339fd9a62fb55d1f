//! The journal on flash: blocks and records with fields from the input and valid checksums, then changes.
//!
//! | bytes | field                                                                     |
//! |------:|---------------------------------------------------------------------------|
//! |     1 | blocks, 2 to 4, in the lower two bits; bit 2: one block starts a new journal |
//! |     1 | changes after opening, eight bits: see code                                 |
//!
//! and each block:
//!
//! | bytes | field                                                                     |
//! |------:|---------------------------------------------------------------------------|
//! |     1 | flags: see `block`                                                          |
//! |     4 | number, oldest number, end of the previous block, erases: only if flagged   |
//! |     1 | records                                                                   |
//!
//! and each record: kind, slot, a byte that fills it, and flags.

use macula_edge::store::format::{HEADER_LEN, MAGIC, SUPPORT_HEAD, VERSION};
use macula_edge::store::{Store, StoreError, buffer_len, peek};
use macula_edge::support_set::{ClassName, SupportRecord, SupportSet};
use macula_firmware_sim::flash::SimFlash;

use crate::Outcome;
use crate::input::Input;

const BLOCK: usize = 512;
const DIM: usize = 4;
const CLASSES: usize = 4;
const SUPPORTS: usize = 12;
const IDENTITY: [u8; 16] = [7; 16];
/// Bytes of a support's payload.
const SUPPORT_LEN: usize = SUPPORT_HEAD + 2 * DIM;
/// Offset of the mark of a finished opening, behind two headers.
const DONE_MARK: usize = 2 * HEADER_LEN;
const RECORDS: usize = DONE_MARK + 4;

type Flash = SimFlash<1, 4, BLOCK>;

/// Opens the store that `data` describes and changes it. It has the same content when opened again.
pub fn run(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let (flags, changes) = (input.byte(), input.byte());
    let blocks = 2 + usize::from(flags & 3) % 3;
    let mut bytes = Vec::new();
    let mut chain = Chain { seq: 1, end: RECORDS as u32 };
    for index in 0..blocks {
        bytes.extend(block(&mut input, &mut chain, index == 0));
    }
    let mut flash = Flash::holding(bytes);
    let range = 0..(blocks * BLOCK) as u32;
    let mut buffer = vec![0; buffer_len::<Flash>(DIM)];
    let peeked = peek(&mut flash, range.clone(), &mut buffer, 1, &mut [0; 128]);

    let mut memory = SupportSetMemory::default();
    let mut support_set = memory.lend();
    let mut store = match Store::open(&mut flash, range.clone(), IDENTITY, &mut buffer, &mut support_set) {
        Ok(store) => store,
        Err(error) => {
            use StoreError::{Buffer, Geometry, NotAStore};
            assert!(!matches!(error, Buffer { .. } | Geometry { .. } | NotAStore), "{error}");
            return Outcome::Refused;
        }
    };
    let peeked = peeked.expect("a store that opens can be peeked into").expect("it is not erased");
    assert_eq!((peeked.identity, peeked.has_supports), (IDENTITY, !support_set.supports().is_empty()));
    assert_eq!(store.verify(&support_set).expect("an opened store can be read"), support_set.supports().len());
    for change in 0..8 {
        if changes >> change & 1 == 1 {
            apply(change, &mut store, &mut support_set);
        }
    }
    assert_eq!(store.verify(&support_set).expect("a written store can be read"), support_set.supports().len());
    let room = store.wear().free_bytes;
    let mut state = Vec::new();
    support_set.state(|piece| state.extend_from_slice(piece));

    let (mut memory, mut buffer) = (SupportSetMemory::default(), vec![0; buffer_len::<Flash>(DIM)]);
    let mut support_set = memory.lend();
    let store = Store::open(&mut flash, range, IDENTITY, &mut buffer, &mut support_set).expect("it opened before");
    let mut again = Vec::new();
    support_set.state(|piece| again.extend_from_slice(piece));
    assert_eq!(state, again, "a restart finds another state");
    // The headers count erases and writes, and the input chose them; free bytes are computed.
    assert_eq!(store.wear().free_bytes, room, "a restart finds other free bytes");
    Outcome::Accepted
}

/// One change, in the store and then in memory, as in a session. A refusal changes neither.
fn apply(change: u8, store: &mut Store<'_, &mut Flash>, support_set: &mut SupportSet<'_>) {
    let class = change % 4;
    match change {
        0 | 1 => put_class(class, store, support_set),
        2 | 3 => {
            let source = support_set.supports().records.first().map_or([9; 16], |record| record.source);
            match store.forget(&source) {
                Ok(()) => _ = support_set.forget(&source).expect("the store had it"),
                Err(error) => assert!(is_full(&error) || support_set.find(&source).is_none(), "{error}"),
            }
        }
        4 => match store.remove_class(class, support_set) {
            Ok(()) => support_set.remove_class(class).expect("the store had it"),
            Err(error) => assert!(is_full(&error) || support_set.names()[usize::from(class)].is_free(), "{error}"),
        },
        5 => {
            let stored = store.put_setting(1, &[5; 24]);
            assert!(stored.as_ref().err().is_none_or(is_full), "{stored:?}");
        }
        6 => match store.forget_all() {
            Ok(()) => support_set.clear(),
            Err(error) => assert!(is_full(&error), "{error}"),
        },
        _ => learn(change, store, support_set),
    }
}

/// A journal may exceed the limits of a store, or hold settings larger than a block; no device writes either.
fn is_full(error: &StoreError) -> bool {
    matches!(error, StoreError::Full { .. })
}

fn put_class(class: u8, store: &mut Store<'_, &mut Flash>, support_set: &mut SupportSet<'_>) {
    let name = ClassName::new(["a", "b", "c", "d"][usize::from(class)]).expect("a letter is a name");
    if support_set.check_class(class, &name).is_ok() && store.put_class(class, &name).is_ok() {
        support_set.put_class(class, name).expect("it was checked");
    }
}

fn learn(change: u8, store: &mut Store<'_, &mut Flash>, support_set: &mut SupportSet<'_>) {
    let record = SupportRecord { source: [change; 16], class: change % 4, operator: 1, time_s: 2 };
    let feature = [1, 2, 3, i16::from(change)];
    let is_new = support_set.check_learn(&record, &feature).is_ok_and(|is_new| is_new);
    if is_new && store.learn(&record, &feature).is_ok() {
        support_set.learn(record, &feature).expect("it was checked");
    }
}

/// Expected fields of the next block of a journal.
struct Chain {
    seq: u32,
    /// End of the records of the previous block.
    end: u32,
}

/// A block of the journal, or an erased one.
///
/// Flags: bit 0 erased (except the first block), 1 fields from the input, 2 start of a new journal, 3 unfinished start, 4
/// damaged first header, 5 bytes after the last record.
fn block(input: &mut Input<'_>, chain: &mut Chain, is_first: bool) -> Vec<u8> {
    let mut bytes = vec![0xff; BLOCK];
    let flags = input.byte();
    if flags & 1 == 1 && !is_first {
        return bytes;
    }
    let own = flags & 2 == 2;
    let [seq, back, end, erases] = if own { [(); 4].map(|()| u32::from(input.byte())) } else { [0; 4] };
    let seq = chain.seq + if own { seq } else { 0 };
    let is_restart = flags & 4 == 4 || is_first && !own;
    // Rules of the format for every header: a journal does not start after its end, and a new one starts with itself.
    let tail = if is_restart { seq } else { seq - back.min(seq) };
    let tail = if own || is_restart { tail } else { 1.min(seq) };
    let mut header = MAGIC.to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend([u8::from(is_restart), 0]);
    header.extend(IDENTITY);
    for number in [seq, tail, chain.end.wrapping_add(if own { end << 2 } else { 0 }), erases] {
        header.extend(number.to_le_bytes());
    }
    header.extend([0; 8]);
    header.extend(crc32fast::hash(&header).to_le_bytes());
    bytes[..HEADER_LEN].copy_from_slice(&header);
    bytes[HEADER_LEN..DONE_MARK].copy_from_slice(&header);
    if flags & 0x10 != 0 {
        bytes[9] ^= 1;
    }
    if flags & 8 == 0 {
        bytes[DONE_MARK..RECORDS].fill(0);
    }
    let mut at = RECORDS;
    for _ in 0..input.byte() {
        let record = record(input, seq);
        if at + record.len() > BLOCK {
            break;
        }
        bytes[at..at + record.len()].copy_from_slice(&record);
        at += record.len();
    }
    if flags & 0x20 != 0 && at + 8 <= BLOCK {
        bytes[at + 4..at + 8].fill(0);
    }
    *chain = Chain { seq: seq.saturating_add(1), end: at as u32 };
    bytes
}

/// A record with its mark. Flags: bit 0 length from the input, 1 damaged checksum.
fn record(input: &mut Input<'_>, seq: u32) -> Vec<u8> {
    let (kind, slot, fill, flags) = (input.byte(), input.byte(), input.byte(), input.byte());
    let kind = 1 + kind % 6;
    let usual = [0, 1 + usize::from(fill % 3), 0, SUPPORT_LEN, 16, usize::from(fill % 40), 0][usize::from(kind)];
    let len = if flags & 1 == 1 { usize::from(flags >> 1) } else { usual };
    let letter = |fill: u8| b'a' + fill % 26;
    let mut payload = vec![if kind == 1 { letter(fill) } else { fill }; len];
    // A source has one class. A journal with two is damaged, but only a full scan per support would detect it.
    if let (3 | 4, Some(first)) = (kind, payload.first_mut()) {
        *first = slot % 8;
    }
    let mut head = (len as u16).to_le_bytes().to_vec();
    head.extend([kind, slot % 8]);
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&seq.to_le_bytes());
    checksum.update(&head);
    checksum.update(&payload);
    let checksum = checksum.finalize() ^ u32::from(flags & 3 == 2);
    let mut record = vec![0; 4];
    record.extend(head);
    record.extend(checksum.to_le_bytes());
    record.extend(payload);
    record.resize(record.len().next_multiple_of(4), 0xff);
    record
}

/// Memory for a support set.
struct SupportSetMemory {
    names: Vec<ClassName>,
    records: Vec<SupportRecord>,
    features: Vec<i16>,
}

impl Default for SupportSetMemory {
    fn default() -> Self {
        Self {
            names: vec![ClassName::FREE; CLASSES],
            records: vec![SupportRecord::EMPTY; SUPPORTS],
            features: vec![0; SUPPORTS * DIM],
        }
    }
}

impl SupportSetMemory {
    fn lend(&mut self) -> SupportSet<'_> {
        SupportSet::new(DIM, &mut self.names, &mut self.records, &mut self.features).expect("the memory fits")
    }
}
