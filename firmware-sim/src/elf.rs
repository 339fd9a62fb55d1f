//! Flash and RAM of an image by section, and its largest objects.

use object::{Object, ObjectSection, ObjectSymbol, SectionFlags, SymbolKind, elf};

/// A section of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, for instance `.text`.
    pub name: String,
    /// Bytes of flash: code, constants, and the first values of variables.
    pub flash_bytes: u64,
    /// Bytes of RAM: variables, and memory that starts as zero.
    pub ram_bytes: u64,
}

/// The sections of an image that take memory on the device, in the order of their addresses.
///
/// # Errors
/// When `image` is not an ELF file.
pub fn sections(image: &[u8]) -> Result<Vec<Section>, object::Error> {
    let file = object::File::parse(image)?;
    let mut found = Vec::new();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags } = section.flags() else { continue };
        if sh_flags & u64::from(elf::SHF_ALLOC) == 0 || section.size() == 0 {
            continue;
        }
        let stored = section.file_range().is_some();
        let variable = sh_flags & u64::from(elf::SHF_WRITE) != 0;
        let bytes_if = |holds: bool| if holds { section.size() } else { 0 };
        let (flash_bytes, ram_bytes) = (bytes_if(stored), bytes_if(variable || !stored));
        found.push((section.address(), Section { name: section.name()?.to_owned(), flash_bytes, ram_bytes }));
    }
    found.sort_by_key(|(address, _)| *address);
    Ok(found.into_iter().map(|(_, section)| section).collect())
}

/// Name and bytes of the variables of at least `least_bytes`, the largest first.
///
/// # Errors
/// When `image` is not an ELF file.
pub fn large_variables(image: &[u8], least_bytes: u64) -> Result<Vec<(String, u64)>, object::Error> {
    let file = object::File::parse(image)?;
    let variables = file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Data && symbol.size() >= least_bytes);
    let mut found: Vec<_> = variables.map(|symbol| (symbol.name().unwrap_or("?").to_owned(), symbol.size())).collect();
    found.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
    Ok(found)
}
