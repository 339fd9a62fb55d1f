//! `--config FILE`: settings as `config.toml` in the folder of a run has them, all or some.

use std::path::Path;

use anyhow::{Context, anyhow};
use toml::{Table, Value};

use crate::pretrain::{Method, PretrainConfig};

/// Settings of a file.
pub struct ConfigFile {
    name: String,
    settings: Table,
}

impl ConfigFile {
    /// Reads `path`.
    ///
    /// # Errors
    /// When it cannot be read or is no TOML.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
        let settings = toml::from_str(&text).map_err(|error| anyhow!("{name}: {}", error.message()))?;
        Ok(Self { name, settings })
    }

    /// Whether it has the setting `key`.
    pub fn has(&self, key: &str) -> bool {
        self.settings.contains_key(key)
    }

    /// Its data, where it names some.
    pub fn data(&self) -> Option<String> {
        self.settings.get("data").and_then(Value::as_str).map(str::to_owned)
    }

    /// Its method, where it names one.
    ///
    /// # Errors
    /// When no method has that name.
    pub fn method(&self) -> anyhow::Result<Option<Method>> {
        let Some(method) = self.settings.get("method") else { return Ok(None) };
        let method = method.clone().try_into::<Method>();
        Ok(Some(method.map_err(|error| anyhow!("{}: method: {}", self.name, error.message()))?))
    }

    /// `start` with every setting of the file.
    ///
    /// # Errors
    /// A setting that there is not, by its name, or one of another kind.
    pub fn over(&self, start: &PretrainConfig) -> anyhow::Result<PretrainConfig> {
        let mut settings = Table::try_from(start)?;
        // One by one, so that an error names the setting.
        for (key, value) in &self.settings {
            settings.insert(key.clone(), value.clone());
            let checked: Result<PretrainConfig, _> = settings.clone().try_into();
            checked.map_err(|error: toml::de::Error| anyhow!("{}: {key}: {}", self.name, error.message()))?;
        }
        Ok(settings.try_into()?)
    }
}
