//! Programs of devices, and what runs them here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program, the emulator of its processor, and what that processor is said to have.
pub struct Program {
    /// For a table.
    pub name: &'static str,
    /// What is run, the program last.
    command: Vec<String>,
    variables: &'static [(&'static str, &'static str)],
    /// Whether only files in half precision are computed otherwise here than by another program.
    pub halves_only: bool,
}

/// Name, file, emulator, variables, and whether only f16 is of interest.
type Row = (&'static str, &'static str, &'static [&'static str], &'static [(&'static str, &'static str)], bool);

/// The processors that are told apart: without and with half-precision arithmetic, without and with NEON kernels. An
/// emulator does not show its processor's abilities where tract looks for them, so it is told.
const ROWS: [Row; 5] = [
    ("aarch64", "macula-aarch64", &["qemu-aarch64", "-cpu", "cortex-a53"], &[], false),
    ("aarch64, fp16 kernels", "macula-aarch64", &["qemu-aarch64", "-cpu", "max"], &[("TRACT_CPU_ISA", "+fp16")], true),
    ("armv7, no NEON", "macula-armv7", &["qemu-arm", "-cpu", "max"], &[("TRACT_CPU_ARM32_NEON", "false")], false),
    ("armv7, NEON", "macula-armv7", &["qemu-arm", "-cpu", "max"], &[("TRACT_CPU_ARM32_NEON", "true")], false),
    ("x86-64", "macula-x86-64", &[], &[], false),
];

/// The folder of what `build-device` made.
pub fn programs_folder() -> PathBuf {
    let folder = std::env::var_os("MACULA_DEVICE_PROGRAMS");
    PathBuf::from(folder.expect("MACULA_DEVICE_PROGRAMS names the folder of the programs; `./check device` does"))
}

/// All that are there. The one for aarch64 must be.
pub fn all_programs() -> Vec<Program> {
    let folder = programs_folder();
    assert!(folder.join("macula-aarch64").is_file(), "{} has no macula-aarch64", folder.display());
    let there = ROWS.iter().filter(|(_, file, ..)| folder.join(file).is_file());
    let program = |&(name, file, emulator, variables, halves_only): &Row| {
        let mut command: Vec<String> = emulator.iter().map(|&word| word.to_owned()).collect();
        command.push(folder.join(file).to_str().unwrap().to_owned());
        Program { name, command, variables, halves_only }
    };
    [Program::own()].into_iter().chain(there.map(program)).collect()
}

impl Program {
    /// The program of this machine that was built with the test.
    pub fn own() -> Self {
        let command = vec![env!("CARGO_BIN_EXE_macula").to_owned()];
        Self { name: "this machine's host program", command, variables: &[], halves_only: false }
    }

    /// Runs it in `folder` and returns what it prints.
    pub fn run(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = self.output(folder, arguments);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {arguments:?}: {}: {err}", self.name, output.status);
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs it in `folder` and returns its exit code.
    pub fn code(&self, folder: &Path, arguments: &[&str]) -> Option<i32> {
        self.output(folder, arguments).status.code()
    }

    fn output(&self, folder: &Path, arguments: &[&str]) -> Output {
        let (program, before) = self.command.split_first().unwrap();
        let mut command = Command::new(program);
        command.current_dir(folder).args(before).args(arguments).envs(self.variables.iter().copied());
        // A program without tables of how to unwind must bear being asked for a backtrace.
        command.env("RUST_BACKTRACE", "1");
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}
