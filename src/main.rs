//! The `npedit` binary.
use std::process::ExitCode;

/// Gives freed memory back between edits.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    npedit::cli::main()
}
