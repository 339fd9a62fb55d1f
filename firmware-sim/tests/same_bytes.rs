//! One script with constant replies, and states that do not depend on history.
//!
//! The same test runs on every supported CPU, natively and under QEMU. A changed hash means a changed protocol or changed
//! arithmetic: devices in the field would reply differently.
#![expect(clippy::print_stdout, reason = "counts of the script, shown with --nocapture")]

use macula_edge::protocol::message::Input;
use macula_edge::protocol::{Reply, Request};
use macula_firmware_sim::board::{ANY_BUNDLE, Board, Running, Shape};
use macula_firmware_sim::script::{self, STEPS, Script};
use macula_firmware_sim::seed::Seed;

const DIM: usize = 24;

fn board() -> Board {
    Board::new(Shape::features_only(DIM), ANY_BUNDLE)
}

#[test]
fn every_device_gives_the_same_replies() {
    let shape = Shape::features_only(DIM);
    let mut board = board();
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let mut running = board.start(shape.features()).unwrap();
    let hash = script::run(1, DIM, |request| {
        let reply = running.answer(request);
        let kind = match Reply::parse(&reply).unwrap() {
            Reply::Refused(refusal) => format!("{:?}", refusal.reason().unwrap()),
            other => format!("{other:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
        reply
    });
    println!("{kinds:?}");
    for kind in ["Learned", "Forgotten", "Prediction", "Why", "State", "ClassRemoved", "Done", "SourceTaken"] {
        assert!(kinds.contains_key(kind), "the script has no {kind}: {kinds:?}");
    }
    assert_eq!(Script::new(1, DIM).count(), STEPS);
    assert_eq!(
        base16ct::lower::encode_string(&hash),
        "dbf671929f9514d209372a4cc3d43343aab30ecf12565c41ab7d7a563dd4f720"
    );
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let hash = script::run_operating_points(1, DIM, |request| {
        let reply = running.answer(request);
        let kind = match Reply::parse(&reply).unwrap() {
            Reply::Refused(refusal) => format!("{:?}", refusal.reason().unwrap()),
            Reply::Decision { decision, .. } => format!("Decision {:?}", decision.map(|decision| decision.positive)),
            Reply::OperatingPoint(report) => {
                format!("OperatingPoint {:?}", report.map(|report| report.threshold.is_some()))
            }
            other => format!("{other:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned(),
        };
        *kinds.entry(kind).or_default() += 1;
        reply
    });
    println!("{kinds:?}");
    for kind in
        ["Decision Some(true)", "Decision Some(false)", "Decision None", "OperatingPoint Some(true)", "OperatingPoint"]
    {
        assert!(kinds.contains_key(kind), "the script has no {kind}: {kinds:?}");
    }
    assert_eq!(
        base16ct::lower::encode_string(&hash),
        "bde7e21f8e3bbf382f757096f16232af8b253d99eac6f16d054b033e615422bb"
    );
    // After a restart the board gives the same replies to the end of the script.
    let state = running.state();
    assert_eq!(board.start(shape.features()).unwrap().state(), state);
}

fn ask(board: &mut Running<'_, macula_edge::encoder::FeaturesOnly>, request: &Request<'_>) {
    let mut message = [0; 512];
    let len = request.write(&mut message).unwrap();
    let reply = board.answer(&message[..len]);
    assert!(!matches!(Reply::parse(&reply), Ok(Reply::Refused(_))), "{request:?} {:?}", Reply::parse(&reply));
}

/// A sample: number, class, feature.
type Sample = (u8, u8, Vec<u8>);

fn learn(board: &mut Running<'_, macula_edge::encoder::FeaturesOnly>, (number, class, feature): &Sample) {
    let (source, input) = ([*number; 16], Input::Feature(feature));
    ask(board, &Request::Learn { class: *class, source, operator: 1, time_s: (*number).into(), input });
}

#[test]
fn a_forgotten_support_leaves_no_trace_in_the_state() {
    let shape = Shape::features_only(DIM);
    for round in 0..40 {
        let (mut seed, mut script) = (Seed::new(round), Script::new(round, DIM));
        let mut left: Vec<Sample> =
            (0..30).map(|number| (number, number % 3, script.feature(number as usize % 3))).collect();
        let (mut first, mut second) = (board(), board());
        let mut tried = first.start(shape.features()).unwrap();
        ["a", "b", "c"].iter().for_each(|name| ask(&mut tried, &Request::AddClass { name }));
        // Each step learns or forgets a sample.
        let mut known: Vec<Sample> = Vec::new();
        for _ in 0..120 {
            if known.is_empty() || !left.is_empty() && seed.below(2) == 0 {
                let sample = left.swap_remove(seed.below(left.len() as u64) as usize);
                learn(&mut tried, &sample);
                known.push(sample);
            } else {
                let sample = known.swap_remove(seed.below(known.len() as u64) as usize);
                ask(&mut tried, &Request::Forget { source: [sample.0; 16] });
                left.push(sample);
            }
        }
        let mut alone = second.start(shape.features()).unwrap();
        ["a", "b", "c"].iter().for_each(|name| ask(&mut alone, &Request::AddClass { name }));
        while !known.is_empty() {
            learn(&mut alone, &known.swap_remove(seed.below(known.len() as u64) as usize));
        }
        assert_eq!(tried.state(), alone.state(), "round {round}");
        // Predictions are the same with a fresh and with a cached head.
        let query = script.feature(1);
        let rates = [200, 100, 50];
        let predict = |board: &mut Running<'_, _>, head, rate| {
            let request = Request::Predict { input: Input::Feature(&query), head, error_rate_permille: rate };
            let mut message = [0; 512];
            let len = request.write(&mut message).unwrap();
            board.answer(&message[..len])
        };
        let cached: Vec<_> = (0..4).flat_map(|head| rates.map(|rate| (head, rate))).collect();
        let mut fresh = cached.clone();
        fresh.sort_by_key(|&(head, rate)| (rate, head));
        let mut answers = std::collections::BTreeMap::new();
        for (head, rate) in cached {
            answers.insert((head, rate), predict(&mut tried, head, rate));
        }
        for (head, rate) in fresh {
            assert_eq!(predict(&mut alone, head, rate), answers[&(head, rate)], "round {round}, head {head}, {rate}");
        }
        let state = tried.state();
        assert_eq!(first.start(shape.features()).unwrap().state(), state, "round {round}, after a restart");
    }
}
