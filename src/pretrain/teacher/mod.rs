//! Teachers: encoders whose features a student learns to predict.
//!
//! Their features are computed once, before the first step, and kept in a file in f16 ([`cache`]), which a resumed run and
//! other runs with the same key use again. Training reads targets made of them ([`targets`]), in memory.

mod basis;
mod cache;
mod compute;
mod error;
mod key;
mod targets;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use basis::Basis;
use cache::FeatureCache;
use compute::Rendering;
pub use error::TeacherError;
use key::CacheKey;
pub(super) use key::is_feature_file;
pub(super) use targets::TeacherTargets;
use targets::{Table, packed, unpacked};

use super::config::PretrainConfig;
use super::error::PretrainError;
use super::observer::{Event, Observer};
use super::training_set::ImageSet;
use super::view_order::ViewOrder;
use crate::data::Dataset;
use crate::encoder::HostEncoder;
use crate::objective::{Distillation, Teacher, TeacherView};
use crate::ranks::Ranks;

/// Most bytes of a file of features.
const BYTES_MAX: u64 = 16 << 30;

/// The reason why a teacher cannot be opened.
pub type OpenFailure = Box<dyn std::error::Error + Send + Sync>;

/// Opens a teacher.
pub type OpenTeacher<'a> = dyn Fn(&Teacher) -> Result<Box<dyn HostEncoder>, OpenFailure> + Sync + 'a;

/// Where the teachers of a run come from.
#[derive(Clone, Copy)]
pub struct Teachers<'a> {
    /// Opens a teacher. Only called for features that are not computed yet.
    pub open: &'a OpenTeacher<'a>,
}

impl Teachers<'_> {
    /// No teachers: for methods that need none.
    pub const NONE: Self = Self { open: &|_| Err("this program cannot open teachers".into()) };
}

/// What the features of the teachers of a run are computed from.
pub(super) struct Lesson<'a> {
    pub config: &'a PretrainConfig,
    pub settings: &'a Distillation,
    pub dataset: &'a Dataset,
    pub training: &'a ImageSet<'a>,
    /// The folder of the files of features.
    pub folder: &'a Path,
    /// The first of them computes the features for all.
    pub ranks: Ranks,
}

impl Lesson<'_> {
    /// The targets of all teachers; computes missing features. `None` if `stop` was raised meanwhile.
    pub fn targets(
        &self,
        teachers: Teachers<'_>,
        each: usize,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<TeacherTargets>, PretrainError> {
        let Self { config, settings, training, ranks, .. } = self;
        let mut own = || self.tables(teachers, observer, stop).map_err(PretrainError::from);
        let tables = if ranks.is_one() {
            own()?
        } else {
            unpacked(&ranks.bytes_from_first(|| Ok::<_, PretrainError>(packed(own()?)))?)
        };
        let Some(tables) = tables else { return Ok(None) };
        let mut row_of = vec![0; training.indices.len()];
        training.readable.iter().enumerate().for_each(|(row, &position)| row_of[position] = row);
        let views = settings.num_views();
        let is_same = settings.teacher_view == TeacherView::Same;
        let order = is_same.then_some(ViewOrder { seed: config.seed, of: views, each });
        Ok(Some(TeacherTargets { tables, row_of, views, each, order }))
    }

    /// The targets of each teacher; computes missing features. `None` if `stop` was raised meanwhile.
    fn tables(
        &self,
        teachers: Teachers<'_>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Table>>, TeacherError> {
        let Self { settings, .. } = self;
        let mut tables = Vec::new();
        for teacher in &settings.teachers {
            let (path, mut cache) = self.open_cache(teacher, observer)?;
            let failed = TeacherError::io(&path);
            if !self.complete(&mut cache, (teacher, &path), teachers, observer, stop)? {
                return Ok(None);
            }
            let targets = settings.target_dim(teacher.dim);
            let table = Basis::new(&mut cache, teacher.dim, targets).and_then(|basis| Table::new(&mut cache, &basis));
            tables.push(table.map_err(failed)?);
        }
        Ok(Some(tables))
    }

    /// The path and the file of the features of `teacher`.
    fn open_cache(
        &self,
        teacher: &Teacher,
        observer: &mut dyn Observer,
    ) -> Result<(PathBuf, FeatureCache), TeacherError> {
        let images: Vec<_> = self.training.digests().into_iter().zip(self.training.readable_indices()).collect();
        let key = CacheKey::new(self.config, self.settings, teacher, &images);
        let path = self.folder.join(key.file_name());
        std::fs::create_dir_all(self.folder).map_err(TeacherError::io(self.folder))?;
        let cache = FeatureCache::open(&path, &key).map_err(TeacherError::io(&path))?;
        if cache.bytes() > BYTES_MAX {
            let (encoder, bytes, limit) = (teacher.encoder.clone(), cache.bytes(), BYTES_MAX);
            return Err(TeacherError::TooLarge { encoder, images: key.images, views: key.views, bytes, limit });
        }
        if cache.is_foreign {
            let text = format!("{}: the header is damaged; the features are computed again", path.display());
            observer.event(Event::Warning(&text));
        }
        Ok((path, cache))
    }

    /// Computes the blocks of `cache` that are missing or damaged; false if `stop` was raised meanwhile.
    fn complete(
        &self,
        cache: &mut FeatureCache,
        (teacher, path): (&Teacher, &Path),
        teachers: Teachers<'_>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<bool, TeacherError> {
        let (mut missing, mut damaged) = (Vec::new(), 0);
        for number in 0..cache.blocks() {
            if cache.read(number).map_err(TeacherError::io(path))?.is_none() {
                damaged += usize::from(cache.reaches(number).map_err(TeacherError::io(path))?);
                missing.push(number);
            }
        }
        if damaged > 0 {
            let text = format!(
                "{}: {damaged} of {} blocks are damaged and are computed again",
                path.display(),
                cache.blocks()
            );
            observer.event(Event::Warning(&text));
        }
        if missing.is_empty() {
            return Ok(true);
        }
        let encoder = open_teacher(teacher, teachers)?;
        let rendering = Rendering::new(self.config, self.settings, encoder.preprocessing());
        let indices = self.training.readable_indices();
        let (of, bytes) = (indices.len(), cache.bytes());
        let progress = |done| Event::Teaching { encoder: &teacher.encoder, done, of, path, bytes };
        let mut done = of - missing.iter().map(|&number| cache.images_of(number).len()).sum::<usize>();
        observer.event(progress(done));
        for number in missing {
            if stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let images = &indices[cache.images_of(number)];
            let features = rendering.features(&*encoder, self.dataset, images)?;
            cache.write(number, &features).map_err(TeacherError::io(path))?;
            done += images.len();
            observer.event(progress(done));
        }
        Ok(true)
    }
}

/// Opens `teacher`, which must be the encoder that the run was configured with.
fn open_teacher(teacher: &Teacher, teachers: Teachers<'_>) -> Result<Box<dyn HostEncoder>, TeacherError> {
    let encoder = || teacher.encoder.clone();
    let opened = (teachers.open)(teacher).map_err(|source| TeacherError::Open { encoder: encoder(), source })?;
    let computed = opened.id().to_string();
    if computed != teacher.sha256 || opened.feature_dim() != teacher.dim {
        return Err(TeacherError::Changed { encoder: encoder(), stored: teacher.sha256.clone(), computed });
    }
    Ok(opened)
}
