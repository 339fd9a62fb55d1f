//! The program `macula`.

fn main() -> std::process::ExitCode {
    macula::cli::main()
}
