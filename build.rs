//! Passes the commit to the program.
//!
//! `MACULA_COMMIT`, if set, is the commit (for builds from an archive). Otherwise release builds ask git; development builds
//! do not, because each commit would rebuild them.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-env-changed=MACULA_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let given = std::env::var("MACULA_COMMIT").ok().filter(|commit| !commit.is_empty());
    let is_release = std::env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let commit = given.or_else(|| if is_release { ask_git() } else { None });
    println!("cargo:rustc-env=MACULA_COMMIT={}", commit.as_deref().unwrap_or("unknown"));
}

/// The commit, with `-changed` if files differ from it; none without git or outside a checkout.
fn ask_git() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
    };
    // Changes with each commit and checkout.
    println!("cargo:rerun-if-changed={}", git(&["rev-parse", "--git-path", "logs/HEAD"])?);
    let commit = git(&["rev-parse", "HEAD"])?;
    let changes = git(&["status", "--porcelain", "--untracked-files=no"])?;
    Some(if changes.is_empty() { commit } else { format!("{commit}-changed") })
}
