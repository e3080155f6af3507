//! `cargo bench -p windlass-versus -- --help`

fn main() -> std::process::ExitCode {
    windlass_versus::main()
}
