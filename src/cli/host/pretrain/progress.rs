//! Progress of training on standard error: a bar, and a line per epoch.

use indicatif::ProgressBar;

use super::figures;
use crate::cli::progress::bar;
use crate::pretrain::{Event, FewSteps, Observer, SlowInput, TrainingMemory};
use crate::report::text::{count, shown};

/// Shows progress on standard error.
pub struct Progress {
    pub bar: ProgressBar,
    quiet: bool,
    /// The teacher whose features are computed.
    teaching: Option<String>,
    images_a_step: u64,
    /// Figures of the last epoch, for the bar.
    last: String,
}

impl Progress {
    /// Shows nothing if `quiet`.
    pub fn new(quiet: bool) -> Self {
        Self { bar: ProgressBar::hidden(), quiet, teaching: None, images_a_step: 0, last: String::new() }
    }

    fn start(&mut self, template: &str, len: u64) {
        self.bar = bar(self.quiet, len, template);
    }

    pub fn say(&self, text: String) {
        if !self.quiet {
            self.bar.suspend(|| eprintln!("{text}"));
        }
    }
}

impl Observer for Progress {
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Reading { done, of } => {
                if self.bar.length() != Some(of as u64) {
                    self.start("reading  {bar:30} {human_pos}/{human_len} images  {rate}  {eta} left", of as u64);
                }
                self.bar.set_position(done as u64);
            }
            Event::Teaching { encoder, done, of, path, bytes } => {
                let template = "teacher  {bar:30} {human_pos}/{human_len} images  {rate}  {eta} left";
                if self.teaching.as_deref() != Some(encoder) {
                    self.teaching = Some(encoder.to_owned());
                    let (encoder, path) = (shown(encoder), path.display().to_string());
                    self.say(format!(
                        "features of {encoder}: {:.1} MiB in {}",
                        bytes as f64 / f64::from(1 << 20),
                        shown(&path)
                    ));
                    self.start(template, of as u64);
                }
                self.bar.set_position(done as u64);
            }
            Event::Skipped { name, reason } => self.say(format!("left out: {}: {}", shown(name), shown(reason))),
            Event::Memory { memory, recomputed } => self.say(memory_line(memory, recomputed)),
            Event::Started { step, steps, images, batch_size } => {
                self.images_a_step = batch_size as u64;
                self.bar.finish_and_clear();
                self.say(format!("training on {}, {} of {batch_size}", count(images, "image"), count(steps, "step")));
                let template = "training {bar:30} {human_pos}/{human_len} images  {rate}  {eta} left  {msg}";
                self.start(template, steps * self.images_a_step);
                self.bar.set_position(step * self.images_a_step);
                self.bar.reset_eta();
            }
            Event::Step(line) => {
                self.bar.set_message(format!("epoch {} loss {:.4}{}", line.epoch, line.loss, self.last));
                self.bar.set_position(line.step * self.images_a_step);
            }
            Event::Epoch(line) => {
                let held_out = line
                    .held_out
                    .as_ref()
                    .map_or(String::new(), |score| format!("  held out {}", figures::of_score(score)));
                self.say(format!("epoch {:>3}  train {}{held_out}", line.epoch, figures::of_score(&line.train)));
                if let Some(health) = &line.health {
                    let knn = health.knn.map_or(String::new(), |knn| format!(" k-NN {knn:.3}"));
                    self.last = format!("{knn} rank {:.1}", health.effective_rank);
                    self.say(format!("           features {}", figures::of_health(health)));
                }
            }
            Event::SlowInput(slow) => self.say(format!("           {}", waiting(slow))),
            // For the report.
            Event::Views { .. } | Event::Embedded(_) => {}
            Event::Remark(text) => self.say(format!("remark: {}", shown(text))),
            Event::FewSteps(FewSteps { steps, per_epoch, least }) => self.say(format!(
                "warning: {} in all, {per_epoch} per epoch; with fewer than {least} the encoder may not improve: state a smaller \
                 --batch-size or more --epochs, or leave both out",
                count(steps, "step")
            )),
            Event::Warning(text) => self.say(format!("warning: {}", shown(text))),
        }
    }
}

/// The memory that training needs, and what staying within a limit costs.
fn memory_line(memory: &TrainingMemory, recomputed: f64) -> String {
    let mib = |bytes: usize| bytes as f64 / f64::from(1 << 20);
    let again = match recomputed {
        0.0 => String::new(),
        share => format!("; each step computes {:.0} % of its forward pass again", 100.0 * share),
    };
    let (all, activations) = (mib(memory.total()), mib(memory.activations));
    format!("memory {all:.0} MiB, {activations:.0} MiB of them activations and gradients{again}")
}

/// How long steps waited for input, and what helps.
fn waiting(SlowInput { share, prefetches, cache_bytes }: SlowInput) -> String {
    let mut helps = Vec::new();
    if let Some(bytes) = cache_bytes {
        helps.push(format!("--cache-mib {}, which holds all images", bytes.div_ceil(1 << 20)));
    }
    if !prefetches {
        helps.push("--prefetch 2".to_owned());
    }
    helps.push("more --threads".to_owned());
    helps.push("a smaller --size".to_owned());
    format!("steps waited for images for {:.0} % of their time; what helps: {}", 100.0 * share, helps.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_named_that_help() {
        let slow = SlowInput { share: 0.256, prefetches: false, cache_bytes: Some((3 << 20) + 1) };
        let named = |slow| ["26 %", "--cache-mib 4,", "--prefetch"].map(|part| waiting(slow).contains(part));
        assert_eq!(named(slow), [true, true, true]);
        assert_eq!(named(SlowInput { prefetches: true, cache_bytes: None, ..slow }), [true, false, false]);
    }
}
