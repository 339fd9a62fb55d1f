//! `macula bench head`: measures latency and memory of learn, forget, fit and predict on a device.

use std::hint::black_box;
use std::time::Duration;

use macula_edge::feature::{DIM_MAX, quantise};
use macula_edge::head::{Head, HeadError, HeadKind};
use macula_edge::support_set::{CLASSES_MAX, ClassName, SupportRecord, SupportSet, SupportSetError};
use serde::Serialize;

use super::measure::{Percentiles, count_to, random_values, repeat, timed};
#[cfg(feature = "host")]
use crate::cli::host::bench::compare::{Column, CompareArgs, Comparison, Ratio, compare, options, values};
use crate::cli::{Common, print_json};

/// Time spent on each operation.
const BUDGET: Duration = Duration::from_millis(300);

/// Most supports of a device.
const SUPPORTS_MAX: usize = 65_536;

/// Arguments of `macula bench head`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula bench head --dim 128 --classes 5 --shots 10")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Feature dimensions
    #[arg(long, default_value_t = 128, value_parser = count_to(DIM_MAX as u64))]
    dim: usize,
    /// Classes
    #[arg(long, default_value_t = 5, value_parser = count_to(CLASSES_MAX as u64))]
    classes: usize,
    /// Samples per class
    #[arg(long, default_value_t = 10, value_parser = count_to(10_000))]
    shots: usize,
    #[cfg(feature = "host")]
    #[command(flatten)]
    comparison: CompareArgs,
}

#[derive(Serialize)]
struct Report {
    dim: usize,
    classes: usize,
    shots: usize,
    learn_us: Percentiles,
    forget_us: Percentiles,
    /// Features and records of the supports.
    support_set_bytes: usize,
    /// Memory that a head of any kind is solved in and that holds it.
    scratch_bytes: usize,
    heads: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    head: &'static str,
    fit_us: Percentiles,
    predict_us: Percentiles,
}

/// Runs the command.
pub fn run(args: &Args) -> anyhow::Result<()> {
    let supports = args.classes * args.shots;
    anyhow::ensure!(supports <= SUPPORTS_MAX, "{supports} samples in all; a device holds at most {SUPPORTS_MAX}");
    #[cfg(feature = "host")]
    if args.comparison.compare {
        return compare_heads(args);
    }
    let features = random_features(args)?;
    // One more place, for the sample that is learned and forgotten.
    let mut names = vec![ClassName::FREE; args.classes];
    let mut records = vec![SupportRecord::EMPTY; supports + 1];
    let mut memory = vec![0; features.len() * args.dim];
    let support_set_bytes = size_of_val(&*records) + size_of_val(&*memory);
    let mut support_set = SupportSet::new(args.dim, &mut names, &mut records, &mut memory)?;
    for class in 0..args.classes {
        support_set.put_class(class as u8, ClassName::new(&format!("class {class}"))?)?;
    }
    for (index, feature) in features[..supports].iter().enumerate() {
        support_set.learn(record(index, index % args.classes), feature)?;
    }
    let query = &*features[supports];
    let (learn_us, forget_us) = learn_and_forget(&mut support_set, supports / 2, query)?;
    let mut scratch = vec![0.0; Head::scratch_len(args.dim, args.classes, supports)];
    let scratch_bytes = size_of_val(&*scratch);
    let kinds = [HeadKind::Auto, HeadKind::Prototype, HeadKind::Gaussian, HeadKind::Logistic];
    let heads = kinds
        .into_iter()
        .map(|kind| measure(kind, args, &support_set, query, &mut scratch))
        .collect::<Result<_, _>>()?;
    let Args { dim, classes, shots, .. } = *args;
    let report = Report { dim, classes, shots, learn_us, forget_us, support_set_bytes, scratch_bytes, heads };
    if args.common.json {
        return print_json(&report);
    }
    print(&report);
    Ok(())
}

/// Beside scikit-learn.
#[cfg(feature = "host")]
fn compare_heads(args: &Args) -> anyhow::Result<()> {
    let Args { dim, classes, shots, .. } = *args;
    let sizes = [("--dim", dim), ("--classes", classes), ("--shots", shots)];
    compare(
        &args.comparison,
        args.common.json,
        &Comparison {
            title: format!("head of {dim} dimensions, {classes} classes, {shots} samples each, one thread"),
            ours: vec![("Macula, auto".to_owned(), [vec!["head".into()], options(&sizes)].concat())],
            script: "head.py",
            peers: &["scikit-learn"],
            args: &|_| values(&sizes),
            columns: &[
                Column { title: "fit p50 µs", pointer: "/heads/0/fit_us/p50", scale: 1.0 },
                Column { title: "fit p99 µs", pointer: "/heads/0/fit_us/p99", scale: 1.0 },
                Column { title: "predict p50 µs", pointer: "/heads/0/predict_us/p50", scale: 1.0 },
            ],
            ratio: Ratio::Time,
        },
    )
}

fn print(report: &Report) {
    println!("heads of {} dimensions, {} classes, {} samples each\n", report.dim, report.classes, report.shots);
    println!("{:<10} {:<8} {:>11} {:>11} {:>11}", "head", "", "p50 µs", "p95 µs", "p99 µs");
    let mut rows = vec![("all", "learn", report.learn_us), ("all", "forget", report.forget_us)];
    rows.extend(
        report.heads.iter().flat_map(|head| [(head.head, "fit", head.fit_us), (head.head, "predict", head.predict_us)]),
    );
    for (head, name, Percentiles { p50, p95, p99 }) in rows {
        println!("{head:<10} {name:<8} {p50:>11.2} {p95:>11.2} {p99:>11.2}");
    }
    println!("\nsupport set of {} bytes, scratch of {} bytes", report.support_set_bytes, report.scratch_bytes);
}

/// `classes · shots + 1` quantised features, `[D]` each.
fn random_features(args: &Args) -> anyhow::Result<Vec<Vec<i16>>> {
    let values = random_values((args.classes * args.shots + 1) * args.dim, args.common.seed);
    let quantised = |feature: &[f32]| {
        let mut out = vec![0; args.dim];
        quantise(feature, None, &mut out).map(|_| out)
    };
    Ok(values.chunks_exact(args.dim).map(quantised).collect::<Result<_, _>>()?)
}

/// A record whose source sorts by `index`. Odd indices are free.
fn record(index: usize, class: usize) -> SupportRecord {
    SupportRecord { source: (2 * index as u128).to_be_bytes(), class: class as u8, ..SupportRecord::EMPTY }
}

fn measure(
    kind: HeadKind,
    args: &Args,
    support_set: &SupportSet<'_>,
    query: &[i16],
    scratch: &mut [f64],
) -> Result<Measured, HeadError> {
    let supports = support_set.supports();
    let fit = || {
        let (duration, head) = timed(|| Head::fit(kind, black_box(supports), args.classes, scratch).map(drop));
        head.map(|()| duration)
    };
    let fit_us = Percentiles::us(&repeat(BUDGET, fit)?);
    let head = Head::fit(kind, supports, args.classes, scratch)?;
    let mut probabilities = vec![0.0; args.classes];
    let predict = || {
        let (duration, decision) = timed(|| head.predict(black_box(query), &mut probabilities));
        black_box(decision?);
        Ok::<_, HeadError>(duration)
    };
    let predict_us = Percentiles::us(&repeat(BUDGET, predict)?);
    Ok(Measured { head: kind.name(), fit_us, predict_us })
}

/// Learns a sample in the middle of the set and forgets it, repeatedly.
fn learn_and_forget(
    support_set: &mut SupportSet<'_>,
    middle: usize,
    feature: &[i16],
) -> Result<(Percentiles, Percentiles), SupportSetError> {
    let mut record = record(middle, 0);
    record.source[15] |= 1;
    let mut forgotten = Vec::new();
    let learned = repeat(BUDGET, || {
        let (duration, learned) = timed(|| support_set.learn(record, black_box(feature)));
        learned?;
        let (again, forgot) = timed(|| support_set.forget(&record.source));
        forgot?;
        forgotten.push(again);
        Ok(duration)
    })?;
    Ok((Percentiles::us(&learned), Percentiles::us(&forgotten)))
}
