//! Settings of distillation, as `config.toml` has them.

use serde::{Deserialize, Serialize};

use crate::data::Preprocessing;

/// Most teachers of a run.
const TEACHERS_MAX: usize = 8;

/// Most views per image whose teacher features are computed.
const VIEWS_MAX: usize = 64;

/// Most dimensions of a target and hidden units of a head.
const DIM_MAX: usize = 65_536;

/// The image that a teacher's feature is computed from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeacherView {
    /// The view that the student sees: the same crop, flip and colours at the teacher's size, without noise. The student
    /// sees `teacher_views` views in turn.
    #[default]
    Same,
    /// The image without augmentation. The student sees new views in every epoch.
    Plain,
}

/// An encoder whose features are targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// A name that `--encoder` takes.
    pub encoder: String,
    /// Its identity in hexadecimal: the content of a file or folder can change.
    pub sha256: String,
    /// Its feature dimensions.
    pub dim: usize,
    /// The preprocessing that the user stated, if the encoder has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocessing: Option<Preprocessing>,
}

/// Settings of distillation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Distillation {
    /// The image that a teacher's feature is computed from.
    pub teacher_view: TeacherView,
    /// Views per image whose teacher features are computed, 1 with the plain image. Epoch `e` trains on view `e` modulo this.
    pub teacher_views: usize,
    /// Dimensions that a teacher's features are reduced to by principal components; 0 for all.
    pub teacher_dim: usize,
    /// Hidden units of the head that predicts a teacher's feature.
    pub teacher_hidden: usize,
    /// Weight of SimReg, the squared distance to the teacher's feature.
    pub simreg_weight: f32,
    /// Weight of SEED, the cross-entropy of similarities to a queue of teacher features.
    pub seed_weight: f32,
    /// Weight of NT-Xent between two views.
    pub simclr_weight: f32,
    /// SEED: temperature of the teacher's similarities.
    pub teacher_temperature: f32,
    /// SEED: temperature of the student's similarities.
    pub student_temperature: f32,
    /// Folder of the files of teacher features; the run folder if absent. It does not change the weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teacher_cache: Option<String>,
    /// The teachers.
    pub teachers: Vec<Teacher>,
}

impl Default for Distillation {
    /// SimReg alone; SEED's temperatures are those of its authors.
    fn default() -> Self {
        Self {
            teacher_view: TeacherView::Same,
            teacher_views: 4,
            teacher_dim: 256,
            teacher_hidden: 512,
            simreg_weight: 1.0,
            seed_weight: 0.0,
            simclr_weight: 0.0,
            teacher_temperature: 0.01,
            student_temperature: 0.2,
            teacher_cache: None,
            teachers: Vec::new(),
        }
    }
}

impl Distillation {
    /// Views per image whose teacher features are computed.
    pub fn num_views(&self) -> usize {
        match self.teacher_view {
            TeacherView::Same => self.teacher_views,
            TeacherView::Plain => 1,
        }
    }

    /// Dimensions of the targets of a teacher with features of `dim` dimensions.
    pub fn target_dim(&self, dim: usize) -> usize {
        if self.teacher_dim == 0 { dim } else { dim.min(self.teacher_dim) }
    }

    /// The first setting that is out of range: its name, its value and the allowed range.
    pub fn out_of_range(&self) -> Option<(&'static str, String, &'static str)> {
        let is_same = self.teacher_view == TeacherView::Same;
        let counts = [
            ("teachers", self.teachers.len(), "1 to 8 encoders (--teacher)", 1..=TEACHERS_MAX),
            ("teacher_views", self.teacher_views, "1 to 64", 1..=VIEWS_MAX),
            ("teacher_hidden", self.teacher_hidden, "1 to 65536", 1..=DIM_MAX),
            ("teacher_dim", self.teacher_dim, "0 to 65536", 0..=DIM_MAX),
        ];
        let wrong = counts.into_iter().find(|(_, value, _, range)| !range.contains(value));
        if let Some((setting, value, allowed, _)) = wrong {
            return Some((setting, value.to_string(), allowed));
        }
        let weight = |weight: f32| (0.0..=1000.0).contains(&weight);
        let temperature = |temperature: f32| (1e-3..=100.0).contains(&temperature);
        let Self { simreg_weight, seed_weight, simclr_weight, teacher_temperature, student_temperature, .. } = *self;
        let pairs = !is_same || self.teacher_views >= 2 || simclr_weight == 0.0;
        let checks = [
            ("simreg_weight", simreg_weight, "0 to 1000", weight(simreg_weight)),
            ("seed_weight", seed_weight, "0 to 1000", weight(seed_weight)),
            ("simclr_weight", simclr_weight, "0 to 1000", weight(simclr_weight)),
            ("simreg_weight", simreg_weight, "above 0 unless seed_weight is", simreg_weight + seed_weight > 0.0),
            ("teacher_temperature", teacher_temperature, "0.001 to 100", temperature(teacher_temperature)),
            ("student_temperature", student_temperature, "0.001 to 100", temperature(student_temperature)),
            ("simclr_weight", simclr_weight, "0 with fewer than 2 teacher_views, because it compares two", pairs),
        ];
        let wrong = checks.into_iter().find(|check| !check.3);
        wrong.map(|(setting, value, allowed, _)| (setting, value.to_string(), allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named() {
        let teacher = Teacher { encoder: "t".into(), sha256: String::new(), dim: 8, preprocessing: None };
        let good = Distillation { teachers: vec![teacher], ..Distillation::default() };
        assert_eq!(good.out_of_range(), None);
        type Change = fn(&mut Distillation);
        let changes: [(&str, Change); 8] = [
            ("teachers", |settings| settings.teachers.clear()),
            ("teacher_views", |settings| settings.teacher_views = 0),
            ("teacher_hidden", |settings| settings.teacher_hidden = 0),
            ("teacher_dim", |settings| settings.teacher_dim = 65_537),
            ("seed_weight", |settings| settings.seed_weight = f32::NAN),
            ("simreg_weight", |settings| settings.simreg_weight = 0.0),
            ("teacher_temperature", |settings| settings.teacher_temperature = 0.0),
            ("simclr_weight", |settings| (settings.simclr_weight, settings.teacher_views) = (1.0, 1)),
        ];
        for (name, change) in changes {
            let mut wrong = good.clone();
            change(&mut wrong);
            assert_eq!(wrong.out_of_range().map(|found| found.0), Some(name));
        }
        let plain = Distillation { teacher_view: TeacherView::Plain, simclr_weight: 1.0, teacher_views: 1, ..good };
        assert_eq!((plain.out_of_range(), plain.num_views()), (None, 1));
    }

    #[test]
    fn features_are_reduced_only_if_they_have_more_dimensions() {
        let settings = Distillation::default();
        assert_eq!([100, 256, 1280].map(|dim| settings.target_dim(dim)), [100, 256, 256]);
        assert_eq!(Distillation { teacher_dim: 0, ..settings }.target_dim(1280), 1280);
    }
}
