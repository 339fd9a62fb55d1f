//! Checks that `deny.toml` allows the licence of every dependency.
//!
//! The dependencies are the packages of `Cargo.lock` for all platforms and features, tests and benches included. No network
//! is needed once cargo has them (`cargo fetch`).

use std::path::Path;

use cargo_metadata::MetadataCommand;
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

/// The part of `deny.toml` that this test reads, in cargo-deny's format.
#[derive(Deserialize)]
struct Policy {
    licenses: Licences,
}

/// The licence rules. An unknown key is an error, because it could forbid something.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that are allowed for one package only.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    #[serde(rename = "crate")]
    package: String,
    allow: Vec<String>,
}

impl Licences {
    fn parse(text: &str) -> Licences {
        toml::from_str::<Policy>(text).expect("deny.toml is in cargo-deny's format").licenses
    }

    /// Every licence that is allowed for a package.
    fn allowed_to(&self, package: &str) -> Vec<Licensee> {
        let exceptions = self.exceptions.iter().filter(|exception| exception.package == package);
        let names = self.allow.iter().chain(exceptions.flat_map(|exception| &exception.allow));
        names.map(|name| Licensee::parse(name).unwrap_or_else(|error| panic!("deny.toml, {name}: {error}"))).collect()
    }

    /// The reason why a package may not be used, if there is one.
    fn refusal(&self, package: &str, licence: Option<&str>) -> Option<String> {
        let Some(licence) = licence else {
            return Some(format!("{package} states no licence"));
        };
        let Ok(expression) = Expression::parse_mode(licence, ParseMode::LAX) else {
            return Some(format!("{package}: \"{licence}\" is not a licence expression"));
        };
        let allowed = self.allowed_to(package);
        let taken = expression.evaluate(|wanted| allowed.iter().any(|licensee| licensee.satisfies(wanted)));
        (!taken).then(|| format!("{package}: \"{licence}\" is not allowed by deny.toml"))
    }
}

#[test]
fn every_dependency_has_an_allowed_licence() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let licences = Licences::parse(&std::fs::read_to_string(root.join("deny.toml")).unwrap());
    let metadata = MetadataCommand::new()
        .manifest_path(root.join("Cargo.toml"))
        .other_options(vec!["--locked".into(), "--all-features".into()])
        .exec()
        .expect("cargo metadata lists the packages of Cargo.lock");
    let (own, dependencies): (Vec<_>, Vec<_>) =
        metadata.packages.iter().partition(|package| metadata.workspace_members.contains(&package.id));
    assert!(dependencies.len() > 100, "only {} dependencies: are these all?", dependencies.len());

    let refusals: Vec<String> =
        dependencies.iter().filter_map(|package| licences.refusal(&package.name, package.license.as_deref())).collect();
    assert!(refusals.is_empty(), "{}", refusals.join("\n"));
    for package in own {
        assert_eq!(package.license.as_deref(), Some("MIT OR Apache-2.0"), "{}", package.name);
    }
    let unused = |exception: &&Exception| !dependencies.iter().any(|package| *package.name == exception.package);
    if let Some(exception) = licences.exceptions.iter().find(unused) {
        panic!("deny.toml has an exception for {}, which is not a dependency", exception.package);
    }
}

#[test]
fn a_licence_that_is_not_allowed_is_refused() {
    let licences = Licences::parse(
        r#"
        [licenses]
        allow = ["MIT", "Apache-2.0"]
        exceptions = [{ crate = "dedicated", allow = ["CC0-1.0"] }]
        "#,
    );
    for (package, licence) in [
        ("plain", "MIT"),
        ("old-style", "MIT/Apache-2.0"),
        ("choice", "GPL-3.0-only OR Apache-2.0"),
        ("dedicated", "CC0-1.0"),
    ] {
        assert_eq!(licences.refusal(package, Some(licence)), None);
    }
    for (package, licence, reason) in [
        ("copyleft", Some("GPL-3.0-or-later"), "not allowed"),
        ("both", Some("MIT AND LGPL-2.1-only"), "not allowed"),
        ("not-the-exception", Some("CC0-1.0"), "not allowed"),
        ("with-exception", Some("Apache-2.0 WITH LLVM-exception"), "not allowed"),
        ("own-words", Some("do as you like"), "not a licence expression"),
        ("empty", Some(""), "not a licence expression"),
        ("silent", None, "states no licence"),
    ] {
        let refusal = licences.refusal(package, licence).unwrap_or_else(|| panic!("{package} was accepted"));
        assert!(refusal.contains(package) && refusal.contains(reason), "{refusal}");
    }
}

#[test]
#[should_panic(expected = "unknown field `deny`")]
fn an_unknown_rule_is_refused() {
    Licences::parse("[licenses]\nallow = [\"MIT\"]\ndeny = [\"GPL-3.0-only\"]\n");
}
