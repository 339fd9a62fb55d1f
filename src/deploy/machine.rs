//! The type of a machine, and the machine type of a program.

use std::fmt;

/// A processor that device programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm with hardware floating point, from ARMv7 on.
    Armv7,
    /// 64-bit x86.
    X86_64,
}

impl Machine {
    /// From the output of `uname -m`.
    pub fn from_uname(name: &str) -> Option<Self> {
        match name {
            "aarch64" | "arm64" => Some(Self::Aarch64),
            // `armv8l` is a 64-bit processor under a 32-bit kernel.
            "armv7l" | "armv8l" => Some(Self::Armv7),
            "x86_64" | "amd64" => Some(Self::X86_64),
            _ => None,
        }
    }

    /// From the header of a Linux program: `e_ident` and `e_machine` of ELF.
    pub fn from_elf(program: &[u8]) -> Option<Self> {
        let (class, little_endian) = (*program.get(4)?, *program.get(5)? == 1);
        let machine = u16::from_le_bytes([*program.get(18)?, *program.get(19)?]);
        match (program.starts_with(b"\x7fELF") && little_endian, class, machine) {
            (true, 2, 183) => Some(Self::Aarch64),
            (true, 1, 40) => Some(Self::Armv7),
            (true, 2, 62) => Some(Self::X86_64),
            _ => None,
        }
    }

    /// The name in the file names of `build-device`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Aarch64 => "aarch64",
            Self::Armv7 => "armv7",
            Self::X86_64 => "x86-64",
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_recognised_by_uname() {
        for (name, expected) in [
            ("aarch64", Some(Machine::Aarch64)),
            ("armv7l", Some(Machine::Armv7)),
            ("x86_64", Some(Machine::X86_64)),
            // Hardware floating point is not guaranteed.
            ("armv6l", None),
            ("riscv64", None),
            ("", None),
        ] {
            assert_eq!(Machine::from_uname(name), expected, "{name}");
        }
    }

    #[test]
    fn programs_are_recognised_by_their_headers() {
        let header = |class: u8, order: u8, machine: u16| {
            let mut bytes = b"\x7fELF".to_vec();
            bytes.extend([class, order]);
            bytes.resize(18, 0);
            bytes.extend(machine.to_le_bytes());
            bytes
        };
        assert_eq!(Machine::from_elf(&header(2, 1, 183)), Some(Machine::Aarch64));
        assert_eq!(Machine::from_elf(&header(1, 1, 40)), Some(Machine::Armv7));
        assert_eq!(Machine::from_elf(&header(2, 1, 62)), Some(Machine::X86_64));
        for other in [header(2, 2, 183), header(1, 1, 62), header(2, 1, 243), b"\x7fELF".to_vec(), Vec::new()] {
            assert_eq!(Machine::from_elf(&other), None, "{other:?}");
        }
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
            assert_eq!(Machine::from_elf(&own), Some(Machine::X86_64));
        }
    }
}
