//! Ten thousand requests over a bad line: each acknowledged sample is stored exactly once.
#![expect(clippy::print_stdout, reason = "counts of faults on the line, shown with --nocapture")]

use std::collections::BTreeMap;

use macula_edge::encoder::FeaturesOnly;
use macula_edge::protocol::message::{Input, VERSION};
use macula_edge::protocol::{Client, Reason, Reply, Request, packet_max};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Running, Shape};
use macula_firmware_sim::flash::Cut;
use macula_firmware_sim::line::{Line, Rates};
use macula_firmware_sim::script::Script;
use macula_firmware_sim::seed::Seed;

const DIM: usize = 16;
const CLASSES: u8 = 4;

/// Ticks until a host sends again: less than the longest delay, so that late replies happen.
const PATIENCE: u64 = 30;

/// Both directions of a line and its host end.
struct Host<'m> {
    client: Client<'m>,
    seed: Seed,
    up: Line,
    down: Line,
    resent: u64,
}

impl<'m> Host<'m> {
    fn new(rates: Rates, seed: u64, memory: &'m mut (Vec<u8>, Vec<u8>)) -> Self {
        let mut seed = Seed::new(seed);
        let (up, down) = (Line::new(rates, seed.next_u64()), Line::new(rates, seed.next_u64()));
        let client = Client::new(seed.next_u64() as u32, &mut memory.0, &mut memory.1);
        Self { client, seed, up, down, resent: 0 }
    }

    /// The message of the reply; `None` after a power cut.
    fn ask(&mut self, board: &mut Running<'_, FeaturesOnly>, request: &Request<'_>) -> Option<Vec<u8>> {
        let mut burst = Vec::new();
        self.client.request(request, &mut |piece| burst.extend_from_slice(piece)).unwrap();
        self.up.send(&burst);
        for waited in 1..=100 * PATIENCE {
            let sent = board.receive(&self.up.tick());
            if board.is_off() {
                return None;
            }
            if !sent.is_empty() {
                self.down.send(&sent);
            }
            for byte in self.down.tick() {
                if let Some(reply) = self.client.receive(byte) {
                    return Some(reply.to_vec());
                }
            }
            if waited % PATIENCE == 0 {
                self.resent += 1;
                self.up.send(&burst);
            }
        }
        panic!("no reply in a hundred tries");
    }

    /// As [`Self::ask`], in a new session after a restart of the device.
    fn ask_again(&mut self, board: &mut Running<'_, FeaturesOnly>, request: &Request<'_>) -> Option<Vec<u8>> {
        loop {
            let reply = self.ask(board, request)?;
            match Reply::parse(&reply).unwrap() {
                Reply::Refused(refusal) if refusal.reason() == Some(Reason::NoSession) => {
                    self.client.begin(self.seed.next_u64() as u32);
                    self.ask(board, &Request::Hello { version: VERSION })?;
                }
                _ => return Some(reply),
            }
        }
    }
}

/// The expected supports: class and feature of each source.
type Model = BTreeMap<[u8; 16], (u8, Vec<u8>)>;

fn found(board: &Running<'_, FeaturesOnly>) -> Model {
    let supports = board.session.support_set().supports();
    let feature = |index| supports.feature(index).iter().flat_map(|value| value.to_le_bytes()).collect();
    supports.records.iter().enumerate().map(|(index, record)| (record.source, (record.class, feature(index)))).collect()
}

/// A request and its effect on the model.
enum Change {
    Learn([u8; 16], u8, Vec<u8>),
    Forget([u8; 16]),
}

impl Change {
    fn draw(seed: &mut Seed, script: &mut Script, model: &Model, sources: &mut u64, limit: usize) -> Self {
        if model.len() < limit && seed.below(5) < 3 {
            *sources += 1;
            let source = u128::from(*sources).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).to_le_bytes();
            let class = seed.below(CLASSES.into()) as u8;
            return Self::Learn(source, class, script.feature(class.into()));
        }
        let known = model.keys().nth(seed.below(model.len().max(1) as u64) as usize);
        Self::Forget(known.copied().unwrap_or_default())
    }

    fn request(&self) -> Request<'_> {
        match self {
            Self::Learn(source, class, feature) => Request::Learn {
                class: *class,
                source: *source,
                operator: 7,
                time_s: 1_700_000_000,
                input: Input::Feature(feature),
            },
            Self::Forget(source) => Request::Forget { source: *source },
        }
    }

    fn apply(self, model: &mut Model) {
        match self {
            Self::Learn(source, class, feature) => assert!(model.insert(source, (class, feature)).is_none()),
            Self::Forget(source) => drop(model.remove(&source)),
        }
    }
}

fn add_classes(host: &mut Host<'_>, board: &mut Running<'_, FeaturesOnly>) {
    host.ask(board, &Request::Hello { version: VERSION }).unwrap();
    for name in ["a", "b", "c", "d"] {
        let reply = host.ask(board, &Request::AddClass { name }).unwrap();
        assert!(matches!(Reply::parse(&reply), Ok(Reply::ClassAdded { new: true, .. })));
    }
}

fn memory() -> (Vec<u8>, Vec<u8>) {
    let shape = Shape::features_only(DIM);
    (vec![0; packet_max(shape.message_max())], vec![0; packet_max(shape.message_max())])
}

#[test]
fn ten_thousand_requests_are_executed_once_each() {
    let shape = Shape::features_only(DIM);
    let mut board = Board::new(shape, ANY_BUNDLE);
    let mut running = board.start(shape.features()).unwrap();
    let mut memory = memory();
    let mut host = Host::new(Rates::all(10_000), 4, &mut memory);
    add_classes(&mut host, &mut running);
    let (mut seed, mut script, mut model, mut sources) = (Seed::new(5), Script::new(6, DIM), Model::new(), 0);
    let (mut learned, mut forgotten) = (0, 0);
    for _ in 0..10_000 {
        let change = Change::draw(&mut seed, &mut script, &model, &mut sources, shape.supports);
        let reply = host.ask(&mut running, &change.request()).unwrap();
        match Reply::parse(&reply).unwrap() {
            // A second execution would reply `new: false`, or find nothing to forget.
            Reply::Learned { new: true, .. } => learned += 1,
            Reply::Forgotten { record } => forgotten += usize::from(record.is_some()),
            other => panic!("{other:?}"),
        }
        change.apply(&mut model);
    }
    assert_eq!(found(&running), model);
    assert_eq!(learned - forgotten, model.len());
    let reply = host.ask(&mut running, &Request::Status).unwrap();
    let Ok(Reply::Status(status)) = Reply::parse(&reply) else { panic!("{reply:?}") };
    println!("{learned} learned, {forgotten} forgotten, {} sent again; {:?}", host.resent, status.line);
    println!("to the device {:?}", host.up.stats);
    println!("to the host   {:?}", host.down.stats);
    assert_eq!(status.line.requests, 10_000 + 6, "hello, four classes, the requests and status, once each");
    assert!(status.line.repeated > 50 && status.line.corrupted > 50 && host.resent > 200, "the line was too good");
    let (up, down) = (host.up.stats, host.down.stats);
    assert!(up.lost > 50 && down.lost > 50 && up.duplicated > 50 && up.delayed > 50);
    assert_eq!(found(&board.start(shape.features()).unwrap()), model, "and so it is after a restart");
}

#[test]
fn acknowledged_changes_survive_power_cuts_on_a_bad_line() {
    let shape = Shape::features_only(DIM);
    let mut board = Board::new(shape, ANY_BUNDLE);
    let mut memory = memory();
    let mut host = Host::new(Rates::all(10_000), 8, &mut memory);
    add_classes(&mut host, &mut board.start(shape.features()).unwrap());
    let (mut seed, mut script, mut model, mut sources) = (Seed::new(9), Script::new(10, DIM), Model::new(), 0);
    let (mut cuts, mut done, mut lost_replies) = (0, 0, 0);
    let mut pending: Option<Change> = None;
    while done < 2000 {
        let cut = [Cut::Clean, Cut::Torn(seed.next_u64()), Cut::Subset(seed.next_u64())][seed.below(3) as usize];
        let mut running = match board.start(shape.features()) {
            Ok(running) => running,
            Err(error) => panic!("after {cuts} cuts: {error}"),
        };
        let flash = running.session.flash_mut();
        flash.cut_at(flash.operations + seed.below(60), cut);
        loop {
            let change = pending
                .take()
                .unwrap_or_else(|| Change::draw(&mut seed, &mut script, &model, &mut sources, shape.supports));
            let Some(reply) = host.ask_again(&mut running, &change.request()) else {
                pending = Some(change);
                break;
            };
            match Reply::parse(&reply).unwrap() {
                // The power failed between execution and reply.
                Reply::Learned { new: false, .. } => lost_replies += 1,
                Reply::Learned { .. } | Reply::Forgotten { .. } => {}
                other => panic!("{other:?}"),
            }
            change.apply(&mut model);
            assert_eq!(found(&running), model, "after {done} requests and {cuts} cuts");
            done += 1;
        }
        cuts += 1;
        host.up.unplug();
        host.down.unplug();
    }
    println!("{done} requests, {cuts} power cuts, {lost_replies} learned before a cut and acknowledged after it");
    assert!(cuts > 100 && lost_replies > 0);
}
