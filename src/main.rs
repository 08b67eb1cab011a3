//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use perfgraph::cli::{self, arguments::Arguments};

/// Answers and batches are thousands of small allocations: a fifth of the CPU of both less than with glibc's, measured.
/// Its huge pages are off (`no_thp`): they doubled the memory and saved nothing.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(&Arguments::parse())
}
