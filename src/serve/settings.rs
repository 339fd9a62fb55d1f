//! Settings that all clients of a page share, in `settings.json`.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use super::error::{ApiError, ErrorKind};
use super::types::Settings;
use crate::files::{TEXT_MAX, read_text_bounded, write_private};

/// Most operators.
const OPERATORS_MAX: usize = 1000;

/// Most characters of an operator's name.
const NAME_CHARS_MAX: usize = 64;

impl Default for Settings {
    fn default() -> Self {
        Self { error_rate: 0.1, operators: Vec::new(), goal: None }
    }
}

impl Settings {
    /// Checks all values.
    ///
    /// # Errors
    /// If one is not allowed.
    pub fn check(&self) -> Result<(), ApiError> {
        let refused = |message: String| Err(ApiError::new(ErrorKind::Input, message));
        error_rate_permille(self.error_rate)?;
        if self.operators.len() > OPERATORS_MAX {
            let message = format!("{} operators; at most {OPERATORS_MAX} are allowed", self.operators.len());
            return refused(message);
        }
        let mut numbers = BTreeSet::new();
        for operator in &self.operators {
            let (number, characters) = (operator.number, operator.name.chars().count());
            if number == 0 || !numbers.insert(number) {
                return refused(format!("operator {number}: numbers are unique and at least 1"));
            }
            if characters == 0 || characters > NAME_CHARS_MAX || operator.name.chars().any(char::is_control) {
                return refused(format!(
                    "operator {number}: a name has 1 to {NAME_CHARS_MAX} characters and no control characters"
                ));
            }
        }
        let is_share = |value: f64| (0.0..=1.0).contains(&value);
        match self.goal {
            Some(goal) if !is_share(goal.sensitivity) || !is_share(goal.specificity) => {
                refused("the goal: sensitivity and specificity are 0 to 1".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// An error rate in thousandths.
///
/// # Errors
/// If it is not 0.001 to 0.5.
pub fn error_rate_permille(error_rate: f64) -> Result<u16, ApiError> {
    let permille = (error_rate * 1000.0).round();
    if (1.0..=500.0).contains(&permille) {
        Ok(permille as u16)
    } else {
        Err(ApiError::new(ErrorKind::Input, format!("error rate {error_rate}: expected 0.001 to 0.5")))
    }
}

/// The file of the settings.
#[derive(Debug)]
pub struct SettingsFile {
    path: PathBuf,
    settings: Settings,
}

impl SettingsFile {
    /// Reads the file; without one all settings have their defaults.
    ///
    /// # Errors
    /// If it cannot be read, or has a value that is not allowed.
    pub fn open(path: PathBuf) -> Result<Self, ApiError> {
        let settings = match read_text_bounded(&path, TEXT_MAX) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(Settings::default()),
            Err(error) => Err(error.source.to_string()),
        };
        let fault = |message: String| ApiError::new(ErrorKind::DeviceFault, format!("{}: {message}", path.display()));
        let settings: Settings = settings.map_err(fault)?;
        settings.check().map_err(|error| fault(error.message))?;
        Ok(Self { path, settings })
    }

    /// The settings.
    pub fn get(&self) -> &Settings {
        &self.settings
    }

    /// Writes the settings, then applies them.
    ///
    /// # Errors
    /// If a value is not allowed, or the file cannot be written.
    pub fn set(&mut self, settings: Settings) -> Result<(), ApiError> {
        settings.check()?;
        let fault = |error: serde_json::Error| ApiError::new(ErrorKind::DeviceFault, error.to_string());
        write_private(&self.path, &serde_json::to_vec_pretty(&settings).map_err(fault)?)?;
        self.settings = settings;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{Goal, Operator};
    use super::*;

    #[test]
    fn settings_are_checked_kept_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        let mut file = SettingsFile::open(path.clone()).unwrap();
        assert_eq!(file.get(), &Settings::default());
        let operator = |number, name: &str| Operator { number, name: name.to_owned() };
        let good = Settings {
            error_rate: 0.05,
            operators: vec![operator(7, "Ada")],
            goal: Some(Goal { class: 1, sensitivity: 0.9, specificity: 0.8 }),
        };
        file.set(good.clone()).unwrap();
        assert_eq!(SettingsFile::open(path.clone()).unwrap().get(), &good);
        let bad = [
            Settings { error_rate: 0.0001, ..good.clone() },
            Settings { error_rate: f64::NAN, ..good.clone() },
            Settings { operators: vec![operator(0, "Ada")], ..good.clone() },
            Settings { operators: vec![operator(1, "Ada"), operator(1, "Bo")], ..good.clone() },
            Settings { operators: vec![operator(1, "")], ..good.clone() },
            Settings { goal: Some(Goal { class: 1, sensitivity: 1.5, specificity: 0.8 }), ..good.clone() },
        ];
        for settings in bad {
            assert_eq!(file.set(settings).unwrap_err().kind, ErrorKind::Input);
        }
        assert_eq!(SettingsFile::open(path.clone()).unwrap().get(), &good);
        std::fs::write(&path, "{}").unwrap();
        let error = SettingsFile::open(path).unwrap_err();
        assert_eq!(error.kind, ErrorKind::DeviceFault);
        assert!(error.message.contains("settings.json"), "{error}");
    }
}
