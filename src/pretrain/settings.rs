//! Settings by the names they have in `config.toml`: some or all, from a file, from options, or from both.

use serde::Serialize;
use toml::{Table, Value};

use super::config::{ConfigError, Init, PretrainConfig};
use super::resolved::Fitted;
use super::run::Run;
use crate::augment::Policy;
use crate::objective::Method;

/// Tables whose fields may be given one by one. Any other table replaces the whole default, because a field that it
/// leaves out means "none".
const MERGED: [&str; 5] = ["comparison", "dicom", "distill", "freeze", "readout"];

/// Settings that are fitted to the number of images unless they are given.
const FITTED: [(&str, Fitted); 3] =
    [("batch_size", Fitted::BatchSize), ("learning_rate", Fitted::LearningRate), ("epochs", Fitted::Epochs)];

/// The settings that were given; the rest keep their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    table: Table,
}

impl Settings {
    /// Reads TOML.
    ///
    /// # Errors
    /// When `text` is not TOML. Names and values are checked by [`Self::new_run`] and [`Self::over`].
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let table =
            toml::from_str(text).map_err(|error| ConfigError::NotToml { reason: error.message().to_owned() })?;
        Ok(Self { table })
    }

    /// The fields of `options` that are not `None`, which have the names of settings.
    ///
    /// # Panics
    /// When `options` does not serialise to a table.
    pub fn of(options: &impl Serialize) -> Self {
        let mut table = Table::try_from(options).expect("options are a struct of plain values");
        // A table of options of which none is given is not given either.
        table.retain(|_, value| value.as_table().is_none_or(|fields| !fields.is_empty()));
        Self { table }
    }

    /// Whether the setting is given.
    pub fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Gives the setting, or removes it if `value` is `None`.
    pub fn set(&mut self, name: &str, value: &impl Serialize) {
        match Value::try_from(value) {
            Ok(value) => self.table.insert(name.to_owned(), value),
            Err(_) => self.table.remove(name),
        };
    }

    /// Starts from the encoder `run`, which every command opens by `name`: its preset, input, readout and range.
    pub fn start_from(&mut self, name: &str, run: &Run) {
        let input = run.network.spec().input;
        self.set("encoder", &run.config.encoder);
        self.set("channels", &input.channels);
        // Inputs of training are square.
        self.set("size", &input.height.max(input.width));
        self.set("readout", &run.config.readout);
        self.set("range", &run.info.preprocessing.range);
        self.set("init", &Init { encoder: name.to_owned(), sha256: run.info.id.to_string() });
    }

    /// Adds the settings of `later`, which override those already given.
    pub fn extend(&mut self, later: Self) {
        later.table.into_iter().for_each(|(name, value)| insert(&mut self.table, name, value));
    }

    /// The configuration of a new run. Defaults depend on the method, the size and the batch size.
    ///
    /// # Errors
    /// When `data` or `method` is missing, a name is unknown or a value is of the wrong type.
    pub fn new_run(&self) -> Result<PretrainConfig, ConfigError> {
        let required = |setting| self.table.get(setting).ok_or(ConfigError::Missing { setting });
        let data = required("data")?.as_str().unwrap_or_default();
        let method: Method = (required("method")?.clone().try_into()).map_err(invalid("method"))?;
        let mut defaults = PretrainConfig::new(data, method);
        if self.has("init") && method == Method::Simclr {
            // On the tasks for development 0.1 is better from scratch, and worse than 0.2 when an encoder goes on with images
            // of one kind, which are alike: it pushes the most similar ones apart.
            defaults.comparison.temperature = 0.2;
        }
        let mut config = self.over(&defaults)?;
        if !self.has("augmentation") {
            config.augmentation = Policy::default_for(method.is_contrastive()).augmentation(config.size);
        }
        if !self.has("learning_rate") {
            config.learning_rate = config.default_learning_rate();
        }
        if !self.has("fit") {
            config.fit = FITTED.into_iter().filter(|(name, _)| !self.has(name)).map(|(_, fitted)| fitted).collect();
        }
        Ok(config)
    }

    /// `base` with the given settings in place of its own.
    ///
    /// # Errors
    /// When a name is unknown or a value is of the wrong type; the error names the setting.
    pub fn over(&self, base: &PretrainConfig) -> Result<PretrainConfig, ConfigError> {
        let mut config = base.clone();
        let mut table = Table::try_from(base).expect("a configuration is plain TOML");
        // One by one, so that an error names the setting.
        for (name, value) in &self.table {
            insert(&mut table, name.clone(), value.clone());
            config = table.clone().try_into().map_err(invalid(name))?;
        }
        Ok(config)
    }
}

fn insert(table: &mut Table, name: String, value: Value) {
    match (table.get_mut(&name), value) {
        (Some(Value::Table(fields)), Value::Table(given)) if MERGED.contains(&name.as_str()) => fields.extend(given),
        (_, value) => _ = table.insert(name, value),
    }
}

fn invalid(setting: &str) -> impl Fn(toml::de::Error) -> ConfigError {
    move |error| ConfigError::Invalid { setting: setting.to_owned(), reason: error.message().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Frames;
    use crate::data::decode::WindowChoice;

    #[test]
    fn later_settings_win_and_defaults_follow_the_others() {
        let mut settings = Settings::parse(
            "data = \"phantoms\"\nmethod = \"moco\"\nbatch_size = 64\nsize = 64\n[comparison]\nqueue = 9\n",
        )
        .unwrap();
        let file = settings.new_run().unwrap();
        assert_eq!((file.batch_size, file.comparison.queue, file.comparison.temperature), (64, 9, 0.2));
        assert_eq!(file.augmentation, Policy::Natural.augmentation(64));
        assert_eq!(file.fit, [Fitted::LearningRate, Fitted::Epochs], "the batch is given");
        settings.extend(Settings::parse("batch_size = 32\ncomparison.temperature = 0.4").unwrap());
        settings.set("seed", &7);
        settings.set("limit", &None::<usize>);
        let both = settings.new_run().unwrap();
        assert_eq!((both.batch_size, both.comparison.queue, both.comparison.temperature), (32, 9, 0.4));
        assert_eq!((both.seed, both.limit, both.learning_rate), (7, None, both.default_learning_rate()));
        // A field of how DICOM files are read leaves the others as they are.
        settings.extend(Settings::parse("dicom.window = \"percentile\"").unwrap());
        settings.extend(Settings::parse("dicom.frames = { number = 3 }").unwrap());
        let reading = settings.new_run().unwrap().dicom;
        assert_eq!((reading.window, reading.frames), (WindowChoice::Percentile, Frames::Number(3)));
    }

    #[test]
    fn simclr_is_milder_where_it_goes_on_from_an_encoder() {
        let temperature = |more: &str| {
            let text = format!("data = \"phantoms\"\nmethod = \"simclr\"\n{more}");
            Settings::parse(&text).unwrap().new_run().unwrap().comparison.temperature
        };
        let init = "init = { encoder = \"a\", sha256 = \"\" }\n";
        assert_eq!((temperature(""), temperature(init)), (0.1, 0.2));
        assert_eq!(temperature(&format!("{init}comparison = {{ temperature = 0.3 }}\n")), 0.3);
    }

    #[test]
    fn a_complete_file_gives_the_same_run() {
        for method in [Method::Rotation, Method::Simclr] {
            let mut config = PretrainConfig::new("phantoms", method);
            (config.augmentation, config.learning_rate) = (Policy::Medical.augmentation(32), 0.123);
            assert_eq!(Settings::parse(&config.to_toml()).unwrap().new_run().unwrap(), config);
        }
    }

    #[test]
    fn a_wrong_setting_is_named() {
        let error = |text: &str| Settings::parse(text).and_then(|settings| settings.new_run()).unwrap_err();
        assert!(matches!(error("= 1"), ConfigError::NotToml { .. }));
        assert_eq!(error("data = \"x\""), ConfigError::Missing { setting: "method" });
        let invalid = |text: &str| match error(&format!("data = \"x\"\nmethod = \"simclr\"\n{text}")) {
            ConfigError::Invalid { setting, .. } => setting,
            other => panic!("{other}"),
        };
        assert_eq!(invalid("batch_sise = 1"), "batch_sise");
        assert_eq!(invalid("epochs = \"many\""), "epochs");
        assert_eq!(invalid("comparison.queues = 1"), "comparison");
    }
}
