//! `macula bench head`: latency to learn, forget, fit and predict, and the memory of the state.

use std::hint::black_box;
use std::time::Duration;

use macula_edge::feature::{DIM_MAX, quantise};
use macula_edge::head::{ClassSums, Gaussian, HeadError, Prototype};
use macula_edge::support_set::CLASSES_MAX;
use serde::Serialize;

use super::measure::{Percentiles, count_to, random_values, repeat, timed};
use crate::cli::{Common, print_json};

/// Time spent on each operation.
const BUDGET: Duration = Duration::from_millis(300);

/// Arguments of `macula bench head`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula bench head --dim 128 --classes 5 --shots 10")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Length of a feature
    #[arg(long, default_value_t = 128, value_parser = count_to(DIM_MAX as u64))]
    dim: usize,
    /// Classes
    #[arg(long, default_value_t = 5, value_parser = count_to(CLASSES_MAX as u64))]
    classes: usize,
    /// Samples of each class
    #[arg(long, default_value_t = 10, value_parser = count_to(10_000))]
    shots: usize,
}

#[derive(Serialize)]
struct Report {
    dim: usize,
    classes: usize,
    shots: usize,
    heads: [Measured; 2],
}

#[derive(Serialize)]
struct Measured {
    head: &'static str,
    learn_us: Percentiles,
    forget_us: Percentiles,
    /// The prototype head needs no fitting.
    fit_us: Option<Percentiles>,
    predict_us: Percentiles,
    /// Counts, sums and products: what is kept.
    state_bytes: usize,
    /// Lent while the fitted head is in use.
    scratch_bytes: usize,
}

/// Memory that a head is lent.
struct Lent {
    counts: Vec<u32>,
    sums: Vec<i64>,
    products: Vec<i64>,
}

impl Lent {
    fn bytes(&self) -> usize {
        size_of_val(&*self.counts) + size_of_val(&*self.sums) + size_of_val(&*self.products)
    }
}

/// Runs it.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let features = random_features(args)?;
    let heads = [prototype(args, &features)?, gaussian(args, &features)?];
    let report = Report { dim: args.dim, classes: args.classes, shots: args.shots, heads };
    if args.common.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

fn print(report: &Report) {
    println!("heads of {} dimensions, {} classes, {} samples each\n", report.dim, report.classes, report.shots);
    println!("{:<10} {:<8} {:>11} {:>11} {:>11}", "head", "", "p50 µs", "p95 µs", "p99 µs");
    for head in &report.heads {
        let rows = [
            ("learn", Some(head.learn_us)),
            ("forget", Some(head.forget_us)),
            ("fit", head.fit_us),
            ("predict", Some(head.predict_us)),
        ];
        for (name, latency) in rows {
            if let Some(Percentiles { p50, p95, p99 }) = latency {
                println!("{:<10} {name:<8} {p50:>11.2} {p95:>11.2} {p99:>11.2}", head.head);
            }
        }
    }
    println!();
    for Measured { head, state_bytes, scratch_bytes, .. } in &report.heads {
        println!("{head:<10} state of {state_bytes} bytes, {scratch_bytes} of scratch");
    }
}

/// `classes · shots` quantised features and one more, `[D]` each.
fn random_features(args: &Args) -> anyhow::Result<Vec<Vec<i16>>> {
    let values = random_values((args.classes * args.shots + 1) * args.dim, args.common.seed);
    let quantised = |feature: &[f32]| {
        let mut out = vec![0; args.dim];
        quantise(feature, None, &mut out).map(|_| out)
    };
    Ok(values.chunks_exact(args.dim).map(quantised).collect::<Result<_, _>>()?)
}

fn prototype(args: &Args, features: &[Vec<i16>]) -> Result<Measured, HeadError> {
    let mut lent = lend(args, 0);
    let state_bytes = lent.bytes();
    let (mut sums, query) = teach(args, features, &mut lent)?;
    let (learn_us, forget_us) = learn_and_forget(&mut sums, query)?;
    let mut probabilities = vec![0.0; args.classes];
    let predict = || {
        let (duration, decision) = timed(|| Prototype::new(&sums).predict(black_box(query), &mut probabilities));
        black_box(decision?);
        Ok(duration)
    };
    let predict_us = Percentiles::us(&repeat(BUDGET, predict)?);
    Ok(Measured { head: "prototype", learn_us, forget_us, fit_us: None, predict_us, state_bytes, scratch_bytes: 0 })
}

fn gaussian(args: &Args, features: &[Vec<i16>]) -> Result<Measured, HeadError> {
    let mut lent = lend(args, ClassSums::products_len(args.dim));
    let state_bytes = lent.bytes();
    let (mut sums, query) = teach(args, features, &mut lent)?;
    let (learn_us, forget_us) = learn_and_forget(&mut sums, query)?;
    let mut scratch = vec![0.0; Gaussian::scratch_len(args.dim, args.classes)];
    let fit = || {
        let (duration, head) = timed(|| Gaussian::fit(black_box(&sums), &mut scratch).map(|_| ()));
        head.map(|()| duration)
    };
    let fit_us = Some(Percentiles::us(&repeat(BUDGET, fit)?));
    let scratch_bytes = size_of_val(&*scratch);
    let head = Gaussian::fit(&sums, &mut scratch)?;
    let mut probabilities = vec![0.0; args.classes];
    let predict = || {
        let (duration, decision) = timed(|| head.predict(black_box(query), &mut probabilities));
        black_box(decision?);
        Ok(duration)
    };
    let predict_us = Percentiles::us(&repeat(BUDGET, predict)?);
    Ok(Measured { head: "gaussian", learn_us, forget_us, fit_us, predict_us, state_bytes, scratch_bytes })
}

fn lend(args: &Args, products: usize) -> Lent {
    let sums = vec![0; ClassSums::sums_len(args.dim, args.classes)];
    Lent { counts: vec![0; args.classes], sums, products: vec![0; products] }
}

/// Sums that know all features but the last, and the last.
fn teach<'m, 'f>(
    args: &Args,
    features: &'f [Vec<i16>],
    lent: &'m mut Lent,
) -> Result<(ClassSums<'m>, &'f [i16]), HeadError> {
    let Lent { counts, sums, products } = lent;
    let mut sums = ClassSums::empty(args.dim, counts, sums, products)?;
    let (samples, query) = features.split_at(args.classes * args.shots);
    for (index, sample) in samples.iter().enumerate() {
        sums.learn((index % args.classes) as u8, sample)?;
    }
    Ok((sums, &query[0]))
}

/// Learns `sample` and forgets it again, so that the head stays what it was.
fn learn_and_forget(sums: &mut ClassSums<'_>, sample: &[i16]) -> Result<(Percentiles, Percentiles), HeadError> {
    let mut forgotten = Vec::new();
    let learned = repeat(BUDGET, || {
        let (duration, learned) = timed(|| sums.learn(0, black_box(sample)));
        learned?;
        let (again, forgot) = timed(|| sums.forget(0, black_box(sample)));
        forgot?;
        forgotten.push(again);
        Ok(duration)
    })?;
    Ok((Percentiles::us(&learned), Percentiles::us(&forgotten)))
}
