//! Device programs, and the emulators that run them here.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A program, the emulator of its processor, and the processor features that tract is told of.
pub struct Program {
    /// Shown in tables.
    pub name: &'static str,
    /// The command line: emulator and its arguments, then the program.
    command: Vec<String>,
    variables: &'static [(&'static str, &'static str)],
    /// Whether this row differs from another one only for f16 files.
    pub halves_only: bool,
}

/// Name, file, emulator, environment variables, and whether the row matters for f16 only.
type Row = (&'static str, &'static str, &'static [&'static str], &'static [(&'static str, &'static str)], bool);

/// The processors under test: without and with half-precision arithmetic, without and with NEON kernels. An emulator does
/// not report processor features where tract looks for them, so environment variables state them.
const ROWS: [Row; 5] = [
    ("aarch64", "macula-aarch64", &["qemu-aarch64", "-cpu", "cortex-a53"], &[], false),
    ("aarch64, fp16 kernels", "macula-aarch64", &["qemu-aarch64", "-cpu", "max"], &[("TRACT_CPU_ISA", "+fp16")], true),
    ("armv7, no NEON", "macula-armv7", &["qemu-arm", "-cpu", "max"], &[("TRACT_CPU_ARM32_NEON", "false")], false),
    ("armv7, NEON", "macula-armv7", &["qemu-arm", "-cpu", "max"], &[("TRACT_CPU_ARM32_NEON", "true")], false),
    ("x86-64", "macula-x86-64", &[], &[], false),
];

/// The folder of the programs that `build-device` made.
pub fn programs_folder() -> PathBuf {
    let folder = std::env::var_os("MACULA_DEVICE_PROGRAMS");
    PathBuf::from(folder.expect("MACULA_DEVICE_PROGRAMS names the folder of the programs; `./check device` does"))
}

/// All programs in the folder. The one for aarch64 is required.
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

/// The program for aarch64 without tract.
pub fn program_without_onnx() -> Program {
    let program = programs_folder().join("macula-aarch64-no-onnx-no-page");
    assert!(program.is_file(), "{} is missing", program.display());
    let command = ["qemu-aarch64", "-cpu", "cortex-a53", program.to_str().unwrap()].map(str::to_owned).to_vec();
    Program { name: "aarch64, no ONNX", command, variables: &[], halves_only: false }
}

impl Program {
    /// The host program that was built with the test.
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
        // A program without unwind tables must not crash when a backtrace is requested.
        command.env("RUST_BACKTRACE", "1");
        command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}
