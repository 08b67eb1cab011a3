//! Parse, run, exit code.

use std::process::ExitCode;

use clap::Parser;
use perfgraph::cli::{self, arguments::Arguments};

fn main() -> ExitCode {
    cli::run(&Arguments::parse())
}
