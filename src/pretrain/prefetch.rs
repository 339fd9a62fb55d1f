//! Prefetching: the views of the next images are made while a step trains.
//!
//! As many threads as train, of low priority, make views in the order in which the steps visit the images. They run while
//! a core is idle: during the parts of a step that run on one thread, at the end of an epoch, and while files are read. A
//! step does not wait for them: it makes what is missing on all training threads. The views of an image are the same
//! whoever makes them, so a run has the same bytes with and without prefetching.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{Builder, Scope};

use super::batch::{Recipe, Slot};
use super::sampling::Visit;
use super::training_set::ImageSet;

/// The visits of the next steps in their order, of which the first have views or are getting them.
pub(super) struct Prefetch {
    queue: Mutex<Queue>,
    changed: Condvar,
    /// Most images whose views are made ahead.
    images_max: usize,
}

#[derive(Default)]
struct Queue {
    /// Visits whose views are made or being made.
    begun: VecDeque<Arc<Slot>>,
    /// The visits after these.
    planned: VecDeque<Visit>,
    is_closed: bool,
}

/// Ends the threads of a [`Prefetch`] when it is dropped, also by a panic.
pub(super) struct Running<'p>(&'p Prefetch);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.lock().is_closed = true;
        self.0.changed.notify_all();
    }
}

impl Prefetch {
    /// Prefetching of at most `images_max` images ([`super::limits::images_ahead`]).
    pub fn new(images_max: usize) -> Self {
        Self { queue: Mutex::default(), changed: Condvar::new(), images_max }
    }

    /// Starts the threads, which end when the result is dropped.
    pub fn start<'s>(&'s self, scope: &'s Scope<'s, '_>, recipe: Recipe<'s>, set: &'s ImageSet<'_>) -> Running<'s> {
        let threads = if self.is_used() { rayon::current_num_threads() } else { 0 };
        for _ in 0..threads {
            // Without a thread, steps make the views.
            let _ = Builder::new().name("prefetch".into()).spawn_scoped(scope, move || self.make_views(recipe, set));
        }
        Running(self)
    }

    /// Whether any views are made ahead.
    pub fn is_used(&self) -> bool {
        self.images_max > 0
    }

    /// Adds the visits of further steps.
    pub fn plan(&self, visits: &[Visit]) {
        if self.is_used() {
            self.lock().planned.extend(visits);
            self.changed.notify_all();
        }
    }

    /// Takes the visits of the next step, `batch`, from the queue.
    pub fn take(&self, batch: &[Visit]) -> Vec<Arc<Slot>> {
        let mut queue = self.lock();
        let slots = batch.iter().map(|&visit| {
            let next = queue.begun.pop_front().or_else(|| queue.planned.pop_front().map(slot));
            next.filter(|slot| slot.visit == visit).unwrap_or_else(|| slot(visit))
        });
        let slots = slots.collect();
        self.changed.notify_all();
        slots
    }

    fn make_views(&self, recipe: Recipe<'_>, set: &ImageSet<'_>) {
        lower_priority();
        while let Some(slot) = self.next() {
            // The step makes the views of a broken image again, and reports the error.
            if let Ok(views) = recipe.views_of(set, slot.visit) {
                let _ = slot.views.set(views);
            }
        }
    }

    /// Waits for the next visit whose views are to be made; `None` once training ends.
    fn next(&self) -> Option<Arc<Slot>> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            if queue.begun.len() < self.images_max
                && let Some(visit) = queue.planned.pop_front()
            {
                let slot = slot(visit);
                queue.begun.push_back(Arc::clone(&slot));
                return Some(slot);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn slot(visit: Visit) -> Arc<Slot> {
    Arc::new(Slot { visit, views: OnceLock::new() })
}

/// Lets all other threads run first. Elsewhere than on Linux the priority of a process cannot be changed for one thread.
fn lower_priority() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(19);
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::super::limits::{AHEAD_BYTES_MAX, images_ahead};
    use super::*;
    use crate::augment::{Policy, Views};
    use crate::data::Preprocessing;
    use crate::objective::Method;
    use crate::pretrain::config::PretrainConfig;
    use crate::pretrain::observer::Silent;
    use crate::pretrain::options::Options;

    fn visits(positions: std::ops::Range<usize>) -> Vec<Visit> {
        Visit::each(&positions.collect::<Vec<_>>(), 7)
    }

    fn begin(prefetch: &Prefetch) -> Option<Visit> {
        let queue = prefetch.lock();
        let is_waiting = queue.begun.len() >= prefetch.images_max || queue.planned.is_empty();
        drop(queue);
        (!is_waiting).then(|| prefetch.next().unwrap().visit)
    }

    #[test]
    fn at_most_the_stated_images_are_prefetched_in_the_order_of_the_steps() {
        let prefetch = Prefetch::new(6);
        prefetch.plan(&visits(0..9));
        let begun: Vec<Visit> = std::iter::from_fn(|| begin(&prefetch)).collect();
        assert_eq!(begun, visits(0..6));
        let taken: Vec<Visit> = prefetch.take(&visits(0..3)).iter().map(|slot| slot.visit).collect();
        assert_eq!(taken, visits(0..3));
        let begun: Vec<Visit> = std::iter::from_fn(|| begin(&prefetch)).collect();
        assert_eq!(begun, visits(6..9));
        // A step that is faster than the threads takes visits that are only planned.
        prefetch.plan(&visits(9..20));
        let taken: Vec<Visit> = prefetch.take(&visits(3..12)).iter().map(|slot| slot.visit).collect();
        assert_eq!(taken, visits(3..12));
        assert_eq!(begin(&prefetch).unwrap(), visits(12..13)[0]);
    }

    #[test]
    fn threads_make_the_views_of_the_step() {
        let dataset = crate::data::open_named("phantoms:16:12", 1).unwrap();
        let mut config = PretrainConfig::new("phantoms:16:12", Method::Simclr);
        (config.channels, config.size) = (1, 16);
        let stop = AtomicBool::new(false);
        let read = |cache_bytes| {
            let options = Options { cache_bytes, ..Options::default() };
            ImageSet::read(&config, &dataset, (0..12).collect(), options, &mut Silent, &stop).unwrap()
        };
        assert_eq!(read(12 * 256).cache_bytes_missing(), None);
        let set = read(12 * 256 - 1);
        assert_eq!(set.cache_bytes_missing(), Some(12 * 256));

        let preprocessing = Preprocessing::unit(1, 16, 16);
        let augmentation = Policy::Natural.augmentation(16);
        let views = Views::Independent(2);
        let recipe = Recipe { views, augmentation, preprocessing: &preprocessing, seed: 3, order: None };
        let prefetch = Prefetch::new(8);
        std::thread::scope(|scope| {
            let _running = prefetch.start(scope, recipe, &set);
            prefetch.plan(&visits(0..12));
            let begun = || prefetch.lock().begun.clone();
            while begun().len() < 8 || begun().iter().any(|slot| slot.views.get().is_none()) {
                std::thread::yield_now();
            }
            let slots = prefetch.take(&visits(0..8));
            for slot in &slots {
                assert_eq!(*slot.views.get().unwrap(), recipe.views_of(&set, slot.visit).unwrap());
            }
            let (mut prefetched, mut filled) = (Vec::new(), Vec::new());
            recipe.fill_slots(&mut prefetched, &set, &slots).unwrap();
            recipe.fill(&mut filled, &set, &visits(0..8)).unwrap();
            assert_eq!(prefetched, filled);
            assert_eq!(filled.len(), 8 * 2 * 256);
        });
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_planned_without_prefetching() {
        assert_eq!(images_ahead(4, 512, 1 << 20, None), 256);
        assert_eq!(images_ahead(usize::MAX, 512, AHEAD_BYTES_MAX, None), 1);
        assert_eq!(images_ahead(4, 512, 1 << 20, Some(64 << 20)), 8);
        let none = Prefetch::new(images_ahead(0, 512, 1, None));
        none.plan(&visits(0..9));
        assert!(begin(&none).is_none() && none.lock().planned.is_empty());
        assert_eq!(none.take(&visits(0..2)).len(), 2);
    }
}
