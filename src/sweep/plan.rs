//! The sweep file: base settings, variations, seeds.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::{Table, Value};

use super::SweepError;
use super::measure::Evaluation;
use crate::augment::Policy;
use crate::encoders::open_run;
use crate::files::{TEXT_MAX, read_text_bounded};
use crate::pretrain::{ConfigError, PretrainConfig, Settings};

/// Most runs of a sweep: more are a mistake in the file.
const RUNS_MAX: usize = 1_000;

/// The sweep file as written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SweepFile {
    /// Settings of every run, as in `config.toml`.
    base: Table,
    /// Settings to vary: all combinations are run.
    #[serde(default)]
    vary: Vec<Vary>,
    /// Runs besides the combinations.
    #[serde(default)]
    run: Vec<Explicit>,
    /// Seeds of every setting; that of `base` if absent.
    #[serde(default)]
    seeds: Vec<u64>,
    /// The file of tasks, relative to the sweep file.
    tasks: PathBuf,
    /// How the encoders are measured.
    #[serde(default)]
    evaluation: Evaluation,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vary {
    setting: String,
    values: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Explicit {
    name: String,
    #[serde(default)]
    settings: Table,
}

/// One choice of settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name in the table, for instance `temperature=0.1 batch_size=64`.
    pub name: String,
    /// What differs from the base: settings by path, `comparison.temperature`.
    changes: Vec<(String, Value)>,
}

/// A sweep as read from its file.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    base: Table,
    /// The choices, in the order of the file: combinations, then explicit runs.
    pub variants: Vec<Variant>,
    /// Seeds of each choice.
    pub seeds: Vec<u64>,
    /// The file of tasks.
    pub tasks: PathBuf,
    /// How the encoders are measured.
    pub evaluation: Evaluation,
}

impl Plan {
    /// Reads the file `path`.
    ///
    /// # Errors
    /// When it cannot be read, is not a sweep file, or names two runs alike.
    pub fn read(path: &Path) -> Result<Self, SweepError> {
        let text = read_text_bounded(path, TEXT_MAX)?;
        let invalid = |reason: String| SweepError::File { path: path.display().to_string(), reason };
        let file: SweepFile = toml::from_str(&text).map_err(|error| invalid(error.message().to_owned()))?;
        if let Some(vary) = file.vary.iter().find(|vary| vary.values.is_empty()) {
            return Err(invalid(format!("{} has no values to vary", vary.setting)));
        }
        let seed = file.base.get("seed").and_then(Value::as_integer).and_then(|seed| u64::try_from(seed).ok());
        let seeds = if file.seeds.is_empty() { vec![seed.unwrap_or(1)] } else { file.seeds };
        let runs = file.vary.iter().fold(1, |runs: usize, vary| runs.saturating_mul(vary.values.len()));
        let runs = runs.saturating_add(file.run.len()).saturating_mul(seeds.len());
        if runs > RUNS_MAX {
            return Err(SweepError::TooManyRuns { found: runs, limit: RUNS_MAX });
        }
        // Explicit runs alone are the sweep; without any run it is the base.
        let mut variants = match file.vary.is_empty() && !file.run.is_empty() {
            true => Vec::new(),
            false => combinations(&file.vary),
        };
        variants.extend(
            file.run.into_iter().map(|run| Variant { name: run.name, changes: run.settings.into_iter().collect() }),
        );
        for (at, variant) in variants.iter().enumerate() {
            if variants[..at].iter().any(|other| other.name == variant.name) {
                return Err(SweepError::SameName { name: variant.name.clone() });
            }
        }
        let tasks = path.parent().unwrap_or(Path::new("")).join(file.tasks);
        Ok(Self { base: file.base, variants, seeds, tasks, evaluation: file.evaluation })
    }

    /// The configuration of `variant` with `seed`. Channels are those of the images if no setting states them, which the
    /// caller knows: `channels` is asked for the dataset of this name.
    ///
    /// # Errors
    /// When a setting is unknown or out of range, an initial encoder cannot be opened, or `channels` fails.
    pub fn config(
        &self,
        variant: &Variant,
        seed: u64,
        channels: impl FnOnce(&str) -> Result<usize, SweepError>,
    ) -> Result<PretrainConfig, SweepError> {
        let failed = |source: ConfigError| SweepError::Config { run: variant.name.clone(), source };
        let mut settings = Table::new();
        for (path, value) in self.base.iter().chain(variant.changes.iter().map(|(path, value)| (path, value))) {
            insert(&mut settings, path, value.clone()).map_err(failed)?;
        }
        insert(&mut settings, "seed", Value::Integer(seed as i64)).map_err(failed)?;
        let [init, policy] = ["init", "policy"].map(|name| match settings.get(name) {
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        });
        if policy.is_some() {
            settings.remove("policy");
        }
        // The rest of a dotted augmentation is that of the policy, which depends on the size.
        let augmentation = settings.remove("augmentation");
        let mut all = Settings::default();
        if let Some(name) = &init {
            settings.remove("init");
            let run = open_run(name)?;
            all.start_from(name, &run);
        }
        all.extend(Settings::of(&settings));
        let mut config = all.new_run().map_err(failed)?;
        if !all.has("channels") {
            config.channels = channels(&config.data)?;
        }
        if let Some(name) = policy {
            config.augmentation = policy_named(&name).map_err(failed)?.augmentation(config.size);
        }
        if let Some(Value::Table(fields)) = augmentation {
            config.augmentation = overridden(&config, fields).map_err(failed)?;
        }
        config.check().map_err(failed)?;
        Ok(config)
    }
}

/// All combinations of the values; the last setting varies fastest.
fn combinations(vary: &[Vary]) -> Vec<Variant> {
    let base = Variant { name: "base".to_owned(), changes: Vec::new() };
    vary.iter().fold(vec![base], |variants, Vary { setting, values }| {
        let label = |value: &Value| format!("{}={}", setting.rsplit('.').next().unwrap_or(setting), text_of(value));
        let with = |variant: &Variant, value: &Value| {
            let changes = variant.changes.iter().cloned().chain([(setting.clone(), value.clone())]).collect();
            let name = match variant.changes.is_empty() {
                true => label(value),
                false => format!("{} {}", variant.name, label(value)),
            };
            Variant { name, changes }
        };
        variants
            .iter()
            .flat_map(|variant| values.iter().map(|value| with(variant, value)).collect::<Vec<_>>())
            .collect()
    })
}

/// A value in a name: strings without quotes.
fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Sets the setting at `path`, whose parts are separated by dots.
fn insert(table: &mut Table, path: &str, value: Value) -> Result<(), ConfigError> {
    let Some((first, rest)) = path.split_once('.') else {
        match (table.get_mut(path), value) {
            (Some(Value::Table(fields)), Value::Table(given)) => {
                given.into_iter().try_for_each(|(name, value)| insert(fields, &name, value))?;
            }
            (_, value) => _ = table.insert(path.to_owned(), value),
        }
        return Ok(());
    };
    let inner = table.entry(first).or_insert_with(|| Value::Table(Table::new()));
    let not_a_table = || ConfigError::Invalid { setting: path.to_owned(), reason: format!("{first} has no settings") };
    insert(inner.as_table_mut().ok_or_else(not_a_table)?, rest, value)
}

fn policy_named(name: &str) -> Result<Policy, ConfigError> {
    let found = Policy::ALL.into_iter().find(|policy| format!("{policy:?}").to_lowercase() == name);
    found.ok_or_else(|| ConfigError::Invalid {
        setting: "policy".to_owned(),
        reason: format!("unknown policy '{name}'; policies are none, light, natural, medical, centred"),
    })
}

/// The augmentation of `config` with `fields` in place of its own.
fn overridden(config: &PretrainConfig, fields: Table) -> Result<crate::augment::Augmentation, ConfigError> {
    let invalid = |reason: String| ConfigError::Invalid { setting: "augmentation".to_owned(), reason };
    let mut table = Table::try_from(config.augmentation).map_err(|error| invalid(error.to_string()))?;
    for (name, value) in fields {
        insert(&mut table, &name, value)?;
    }
    table.try_into().map_err(|error: toml::de::Error| invalid(error.message().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pretrain::Method;

    fn plan(text: &str) -> Result<Plan, SweepError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sweep.toml");
        std::fs::write(&path, format!("tasks = \"tasks.toml\"\n{text}")).unwrap();
        let plan = Plan::read(&path)?;
        assert_eq!(plan.tasks, folder.path().join("tasks.toml"));
        Ok(plan)
    }

    const BASE: &str = "[base]\ndata = \"phantoms\"\nmethod = \"simclr\"\nsize = 48\n";

    fn config(plan: &Plan, at: usize) -> Result<PretrainConfig, SweepError> {
        plan.config(&plan.variants[at], 7, |data| {
            assert_eq!(data, "phantoms");
            Ok(1)
        })
    }

    #[test]
    fn all_combinations_come_in_order_before_explicit_runs() {
        let plan = plan(&format!(
            "seeds = [3, 4]\n{BASE}[[vary]]\nsetting = \"comparison.temperature\"\nvalues = [0.1, 0.5]\n\
             [[vary]]\nsetting = \"policy\"\nvalues = [\"medical\", \"natural\"]\n\
             [[run]]\nname = \"small\"\nsettings = {{ batch_size = 16, augmentation.flip = false }}\n"
        ))
        .unwrap();
        let names: Vec<&str> = plan.variants.iter().map(|variant| variant.name.as_str()).collect();
        let expected = [
            "temperature=0.1 policy=medical",
            "temperature=0.1 policy=natural",
            "temperature=0.5 policy=medical",
            "temperature=0.5 policy=natural",
            "small",
        ];
        assert_eq!((names, &plan.seeds), (expected.to_vec(), &vec![3, 4]));
        let first = config(&plan, 0).unwrap();
        assert_eq!((first.comparison.temperature, first.seed, first.channels), (0.1, 7, 1));
        assert_eq!(first.augmentation, Policy::Medical.augmentation(48));
        let small = config(&plan, 4).unwrap();
        assert_eq!((small.batch_size, small.learning_rate), (16, small.default_learning_rate()));
        let natural = Policy::Natural.augmentation(48);
        assert_eq!(small.augmentation, crate::augment::Augmentation { flip: false, ..natural });
        // The queue of a table that is given in part keeps its default.
        assert_eq!(first.comparison.queue, PretrainConfig::new("phantoms", Method::Simclr).comparison.queue);
    }

    #[test]
    fn a_file_without_runs_is_its_base_and_explicit_runs_replace_it() {
        let base = plan(BASE).unwrap();
        assert_eq!((base.variants.len(), &base.seeds), (1, &vec![1]));
        assert_eq!(config(&base, 0).unwrap().size, 48);
        let explicit = plan(&format!("{BASE}[[run]]\nname = \"a\"\n")).unwrap();
        assert_eq!((explicit.variants.len(), explicit.variants[0].name.as_str()), (1, "a"));
    }

    #[test]
    fn invalid_files_are_refused() {
        let refused = |text: &str| plan(text).unwrap_err();
        assert!(matches!(refused(""), SweepError::File { .. }), "no base");
        assert!(matches!(
            refused(&format!("{BASE}[[vary]]\nsetting = \"size\"\nvalues = []\n")),
            SweepError::File { .. }
        ));
        assert!(matches!(refused(&format!("{BASE}[[varied]]\nsetting = \"size\"\n")), SweepError::File { .. }));
        let same = format!("{BASE}[[run]]\nname = \"a\"\n[[run]]\nname = \"a\"\n");
        assert!(matches!(refused(&same), SweepError::SameName { name } if name == "a"));
        let many = format!("seeds = {:?}\n{BASE}", (0..1001).collect::<Vec<_>>());
        assert!(matches!(refused(&many), SweepError::TooManyRuns { found: 1001, limit: 1000 }));
        for (change, name) in [
            ("batch_sise = 1", "batch_sise"),
            ("policy = \"wild\"", "policy"),
            ("size.side = 3", "size"),
            ("augmentation.flips = true", "augmentation"),
        ] {
            let plan = plan(&format!("{BASE}[[run]]\nname = \"a\"\nsettings = {{ {change} }}\n")).unwrap();
            match config(&plan, 0).unwrap_err() {
                SweepError::Config { run, source: ConfigError::Invalid { setting, .. } } => {
                    assert_eq!((run.as_str(), setting.as_str()), ("a", name), "{change}");
                }
                other => panic!("{change}: {other}"),
            }
        }
        let zero = plan(&format!("{BASE}[[run]]\nname = \"a\"\nsettings = {{ epochs = 0 }}\n")).unwrap();
        assert!(matches!(config(&zero, 0), Err(SweepError::Config { source: ConfigError::OutOfRange { .. }, .. })));
    }
}
