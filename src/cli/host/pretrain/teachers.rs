//! Teachers of distillation: which encoders, and how they are opened.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde::Serialize;

use crate::bundle::PublicKey;
use crate::cli::preprocessing::ValueArgs;
use crate::cli::trust::{KeyArgs, open_encoder};
use crate::encoder::HostEncoder;
use crate::encoders::{OpenError, OpenOptions, Opened, Stated, open};
use crate::isolated::OnnxHost;
use crate::pretrain::{OpenFailure, Settings, Teacher};

/// Options that name the teachers.
#[derive(clap::Args)]
pub struct TeacherArgs {
    /// Distill: encoder whose features the student learns to predict (RUN, FILE.onnx, FILE.macula, a shipped model); repeatable
    #[arg(long = "teacher", value_name = "ENCODER")]
    names: Vec<String>,
    /// Input side of a teacher whose ONNX file does not declare it
    #[arg(long, value_name = "PIXELS", requires = "names", value_parser = clap::value_parser!(u16).range(1..))]
    teacher_size: Option<u16>,
    #[command(flatten)]
    values: ValueArgs,
    #[command(flatten)]
    keys: KeyArgs,
}

/// Opens teachers by name.
pub struct TeacherOpener<'a> {
    /// The names given.
    pub names: &'a [String],
    stated: Option<Stated>,
    trusted: Vec<PublicKey>,
    host: OnnxHost,
}

impl TeacherArgs {
    /// Reads keys and preprocessing. Raising `stop` ends every wait for a teacher.
    pub fn opener(&self, stop: &Arc<AtomicBool>) -> anyhow::Result<TeacherOpener<'_>> {
        let size = self.teacher_size.map(usize::from);
        let stated = self.values.stated(size.map(|side| (side, side)), None)?;
        anyhow::ensure!(
            stated.is_some() || size.is_none(),
            "--teacher-size needs --preprocessing, or --mean and --std"
        );
        let host = self.values.limits.host(Some(stop));
        Ok(TeacherOpener { names: &self.names, stated, trusted: self.keys.read()?, host })
    }
}

#[derive(Serialize)]
struct Given {
    distill: GivenTeachers,
}

#[derive(Serialize)]
struct GivenTeachers {
    teachers: Vec<Teacher>,
}

impl TeacherOpener<'_> {
    /// The given teachers as settings of a run; none if no teacher is given.
    pub fn settings(&self) -> anyhow::Result<Settings> {
        if self.names.is_empty() {
            anyhow::ensure!(self.stated.is_none(), "--preprocessing, --mean and --std need --teacher");
            return Ok(Settings::default());
        }
        let teachers = self.names.iter().map(|name| self.teacher(name)).collect::<anyhow::Result<_>>()?;
        Ok(Settings::of(&Given { distill: GivenTeachers { teachers } }))
    }

    fn teacher(&self, name: &str) -> anyhow::Result<Teacher> {
        // The stated preprocessing is for those that have none of their own.
        let opened = match open(name, &self.options(None)) {
            Err(OpenError::Unstated { .. }) => open_encoder(name, &self.options(self.stated.as_ref()))?,
            Err(_) => open_encoder(name, &self.options(None))?,
            Ok(opened) => opened,
        };
        let Opened { encoder, stated: preprocessing, .. } = opened;
        let (sha256, dim) = (encoder.id().to_string(), encoder.feature_dim());
        Ok(Teacher { encoder: name.to_owned(), sha256, dim, preprocessing })
    }

    /// Opens a teacher of a run.
    pub fn open(&self, teacher: &Teacher) -> Result<Box<dyn HostEncoder>, OpenFailure> {
        let stated = teacher.preprocessing.as_ref().map(Stated::from);
        Ok(open(&teacher.encoder, &self.options(stated.as_ref()))?.encoder)
    }

    fn options<'o>(&'o self, stated: Option<&'o Stated>) -> OpenOptions<'o> {
        OpenOptions { host: self.host.clone(), trusted: &self.trusted, stated, ..OpenOptions::default() }
    }
}
