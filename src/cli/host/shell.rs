//! `macula completions` and `macula man`: files for shells and for `man`, from the definition of the commands.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap_complete::Shell;
use clap_mangen::Man;

use crate::cli::output::raw;
use crate::files::write_atomic;

/// The definitions of both programs.
pub struct Programs {
    /// `macula`.
    pub host: fn() -> clap::Command,
    /// `macula-device`, the program in the package of a device.
    pub device: fn() -> clap::Command,
}

impl Programs {
    fn choose(&self, device: bool) -> clap::Command {
        if device { (self.device)() } else { (self.host)() }
    }
}

/// Arguments of `macula completions`.
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  macula completions bash\n  macula completions zsh --device\n\n\
    bash: macula completions bash > ~/.local/share/bash-completion/completions/macula")]
pub struct CompletionsArgs {
    /// Shell that completes
    shell: Shell,
    /// Complete `macula-device`, the program of a device, which has fewer commands
    #[arg(long)]
    device: bool,
}

/// Arguments of `macula man`.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  macula man --out man\n\nThen `man -l man/macula-pretrain.1` shows a page.")]
pub struct ManArgs {
    /// Write a page per command into this folder, which is created
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// Write the pages of `macula-device`, the program of a device, which has fewer commands
    #[arg(long)]
    device: bool,
}

/// Prints completions.
pub fn completions(args: &CompletionsArgs, programs: &Programs) -> anyhow::Result<()> {
    let mut command = programs.choose(args.device);
    let (name, mut text) = (command.get_name().to_owned(), Vec::new());
    clap_complete::generate(args.shell, &mut command, name, &mut text);
    raw(&String::from_utf8(text).context("completions are UTF-8")?);
    Ok(())
}

/// Writes manual pages.
pub fn man(args: &ManArgs, programs: &Programs) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.out).with_context(|| format!("cannot create folder {}", args.out.display()))?;
    let mut command = programs.choose(args.device).disable_help_subcommand(true);
    // Gives each subcommand its name with those above it.
    command.build();
    write_pages(&command, &args.out)
}

/// Writes the page of `command`, and those of its subcommands, `PROGRAM-COMMAND.1`.
fn write_pages(command: &clap::Command, folder: &Path) -> anyhow::Result<()> {
    for subcommand in command.get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        write_pages(subcommand, folder)?;
    }
    let page = Man::new(command.clone()).source(concat!("macula ", env!("CARGO_PKG_VERSION"))).manual("Macula");
    let path = folder.join(page.get_filename());
    let mut text = Vec::new();
    page.render(&mut text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(write_atomic(&path, &text)?)
}
