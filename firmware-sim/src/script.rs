//! A script of learning, forgetting, merging and predicting. Every device of the same sizes must answer it with the same
//! bytes, on any CPU, flash and line.

use macula_edge::feature;
use macula_edge::protocol::message::{Input, OperatingPoint, Request, Target};

use crate::seed::Seed;

/// Steps of the script, the first of which add its classes.
pub const STEPS: usize = 500;

/// Its classes. A device with fewer slots refuses some; the refusals are part of the replies.
const NAMES: [&str; 6] = ["nodule", "vessel", "Ödem", "no finding", "scar", "foreign body"];

/// Draws the script's requests.
#[derive(Clone, Debug)]
pub struct Script {
    seed: Seed,
    dim: usize,
    step: usize,
    /// Sources used so far; some are used again.
    sources: u64,
}

impl Script {
    /// The script for features of `dim` dimensions.
    pub fn new(seed: u64, dim: usize) -> Self {
        Self { seed: Seed::new(seed), dim, step: 0, sources: 0 }
    }

    /// A feature of length 1 near `class`: sums of uniform numbers, the same on every CPU.
    pub fn feature(&mut self, class: usize) -> Vec<u8> {
        let mut value = || (0..4).map(|_| (self.seed.next_u64() >> 40) as f32 / (1u32 << 24) as f32 - 0.5).sum::<f32>();
        let leaning = |index: usize| if index % NAMES.len() == class { 1.0 } else { 0.0 };
        let values: Vec<f32> = (0..self.dim).map(|index| value() + leaning(index)).collect();
        let mut quantised = vec![0; self.dim];
        feature::quantise(&values, None, &mut quantised).expect("sums of random numbers have a direction");
        quantised.iter().flat_map(|value| value.to_le_bytes()).collect()
    }

    /// A source: a new one, or one of the last 64.
    fn source(&mut self, is_new: bool) -> [u8; 16] {
        let number = if is_new { self.sources } else { self.sources.saturating_sub(self.seed.below(64)) };
        self.sources += u64::from(is_new);
        // Supports must not arrive in the order of their sources.
        let mut scattered = Seed::new(number);
        let (high, low) = (scattered.next_u64(), scattered.next_u64());
        (u128::from(high) << 64 | u128::from(low)).to_le_bytes()
    }

    fn draw(&mut self, request: &mut impl FnMut(&Request<'_>)) {
        let class = self.seed.below(NAMES.len() as u64) as usize;
        let (operator, time_s) = (self.seed.next_u64() as u32, 1_700_000_000 + self.step as u64);
        match self.seed.below(100) {
            0..40 => {
                let (feature, source) = (self.feature(class), self.source(true));
                let input = Input::Feature(&feature);
                request(&Request::Learn { class: class as u8, source, operator, time_s, input });
            }
            40..62 => request(&Request::Forget { source: self.source(false) }),
            62..72 => {
                let is_new = self.seed.below(4) > 0;
                let (feature, source) = (self.feature(class), self.source(is_new));
                let (name, feature) = (NAMES[class], &feature);
                request(&Request::MergeState { name, source, operator, time_s, feature });
            }
            72..92 => {
                let (feature, head) = (self.feature(class), self.seed.below(4) as u8);
                let error_rate_permille = [50, 100, 200][self.seed.below(3) as usize];
                request(&Request::Predict { input: Input::Feature(&feature), head, error_rate_permille });
            }
            92..95 => request(&Request::Why { input: Input::Feature(&self.feature(class)) }),
            95..97 => request(&Request::RenameClass { class: class as u8, name: NAMES[self.seed.below(6) as usize] }),
            97 => request(&Request::RemoveClass { class: class as u8 }),
            98 => request(&Request::AddClass { name: NAMES[class] }),
            _ => request(&Request::ExportState { cursor: self.seed.below(40) as u32 }),
        }
    }
}

impl Iterator for Script {
    /// A message.
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut message = Vec::new();
        let mut write = |request: &Request<'_>| {
            message.resize(2 * self.dim.max(128) + 256, 0);
            let len = request.write(&mut message).expect("there is room for any request of the script");
            message.truncate(len);
        };
        match self.step {
            step if step < NAMES.len() => write(&Request::AddClass { name: NAMES[step] }),
            STEPS.. => return None,
            _ => {
                let mut drawn = self.clone();
                drawn.draw(&mut write);
                *self = drawn;
            }
        }
        self.step += 1;
        Some(message)
    }
}

/// Steps of [`operating_points`].
const POINT_STEPS: usize = 90;

/// Requests about operating points, for a device that has run the script.
fn operating_points(seed: u64, dim: usize) -> impl Iterator<Item = Vec<u8>> {
    // Other features than those of the script, and sources of its end, some of which the device has.
    let mut script = Script { sources: 240, ..Script::new(!seed, dim) };
    (0..POINT_STEPS).map(move |step| {
        let class = script.seed.below(NAMES.len() as u64) as usize;
        let permille = [500, 800, 950, 999, 1000][script.seed.below(5) as usize];
        let target = match script.seed.below(3) {
            0 => Target::Sensitivity { permille },
            1 => Target::Specificity { permille },
            _ => Target::Costs { missed: permille, false_alarm: 100 },
        };
        let point = OperatingPoint { class: class as u8, target };
        let (feature, source, known) = (script.feature(class), script.source(true), script.source(false));
        let input = Input::Feature(&feature);
        let decide = |point| Request::Decide { input, head: (step % 4) as u8, error_rate_permille: 100, point };
        let request = match step {
            // Every class exists from here on.
            _ if step < NAMES.len() => Request::AddClass { name: NAMES[step] },
            80 => Request::RemoveClass { class: 1 },
            _ => match step % 10 {
                0 => Request::SetOperatingPoint { point: Some(OperatingPoint { class: 1, ..point }) },
                1 | 2 => decide(None),
                3 | 4 => decide(Some(point)),
                5 => Request::OperatingPoint,
                6 => Request::SetOperatingPoint { point: Some(point) },
                // The threshold follows the supports.
                7 => Request::Forget { source: known },
                9 if step == 59 => Request::SetOperatingPoint { point: None },
                _ => Request::Learn { class: class as u8, source, operator: 1, time_s: 1_800_000_000, input },
            },
        };
        let mut message = vec![0; 2 * dim + 256];
        let len = request.write(&mut message).expect("there is room for any request of the script");
        message.truncate(len);
        message
    })
}

/// Runs the script, then exports the state; returns the SHA-256 over the length and bytes of every reply.
///
/// * `answer`: a device's reply to a message
pub fn run(seed: u64, dim: usize, answer: impl FnMut(&[u8]) -> Vec<u8>) -> [u8; 32] {
    hash_of(Script::new(seed, dim), answer)
}

/// Sets, reads and applies operating points on a device that has run the script, then exports the state; returns the hash as
/// [`run`] does.
///
/// * `answer`: a device's reply to a message
pub fn run_operating_points(seed: u64, dim: usize, answer: impl FnMut(&[u8]) -> Vec<u8>) -> [u8; 32] {
    hash_of(operating_points(seed, dim), answer)
}

fn hash_of(requests: impl Iterator<Item = Vec<u8>>, mut answer: impl FnMut(&[u8]) -> Vec<u8>) -> [u8; 32] {
    use sha2::{Digest, Sha256};

    let mut hash = Sha256::new();
    let mut hashed = |request: &[u8]| {
        let reply = answer(request);
        hash.update((reply.len() as u32).to_le_bytes());
        hash.update(&reply);
        reply
    };
    requests.for_each(|request| {
        hashed(&request);
    });
    export(hashed);
    hash.finalize().into()
}

/// Asks for the state, part by part.
///
/// * `answer`: a device's reply to a message
pub fn export(mut answer: impl FnMut(&[u8]) -> Vec<u8>) {
    use macula_edge::protocol::Reply;
    use macula_edge::protocol::message::StatePart;

    let (mut cursor, mut message) = (0, [0; 16]);
    loop {
        let len = Request::ExportState { cursor }.write(&mut message).expect("a cursor fits");
        match Reply::parse(&answer(&message[..len])) {
            Ok(Reply::State { next, part, .. }) if !matches!(part, StatePart::End { .. }) => cursor = next,
            _ => return,
        }
    }
}
