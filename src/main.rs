//! The one binary: `macula`.

fn main() -> std::process::ExitCode {
    macula::cli::main()
}
