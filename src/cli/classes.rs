//! The classes of a device by slot and name.

use super::failure::Kind;
use crate::link::{Class, Client};
use crate::report::text::left;

/// The classes of a device.
pub struct ClassNames(pub Vec<Class>);

impl ClassNames {
    /// Asks the device.
    pub fn of(client: &mut Client<'_>) -> anyhow::Result<Self> {
        Ok(Self(client.classes()?))
    }

    /// The name of the class in `slot`.
    pub fn name(&self, slot: u8) -> String {
        let found = self.0.iter().find(|class| class.slot == slot);
        found.map_or_else(|| format!("slot {slot}"), |class| class.name.clone())
    }

    /// The slot of the class called `name`.
    pub fn slot(&self, name: &str) -> anyhow::Result<u8> {
        let known = || match self.0.is_empty() {
            true => "none".to_owned(),
            false => self.0.iter().map(|class| class.name.as_str()).collect::<Vec<_>>().join(", "),
        };
        let found = self.0.iter().find(|class| class.name == name);
        found.map(|class| class.slot).ok_or_else(|| {
            Kind::UnknownClass.error(format!("the device has no class '{name}'; its classes are: {}", known()))
        })
    }

    /// Whether a class is called `name`.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|class| class.name == name)
    }

    /// The only class with samples. Every known image is then of that class, and its probability of 1 means nothing.
    pub fn only_class(&self) -> Option<&str> {
        let mut taught = self.0.iter().filter(|class| class.supports > 0);
        match (taught.next(), taught.next()) {
            (Some(class), None) => Some(&class.name),
            _ => None,
        }
    }

    /// Classes and their numbers of samples, as `--json` prints them.
    pub fn counts(&self) -> Vec<ClassCount> {
        self.0.iter().map(|class| ClassCount { name: class.name.clone(), samples: class.supports }).collect()
    }

    /// Prints classes and their numbers of samples.
    pub fn print(&self) {
        println!("{:<24} {:>8}", "class", "samples");
        self.0.iter().for_each(|class| println!("{} {:>8}", left(&class.name, 24), class.supports));
    }
}

/// A class and its number of samples.
#[derive(serde::Serialize)]
pub struct ClassCount {
    name: String,
    samples: u32,
}
