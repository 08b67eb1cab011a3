//! The output of commands: data on standard output, messages on standard error. A reader that has gone, such as `head`, is
//! no failure: the command goes on without output, and its exit code says how its work ended.

use std::io::{self, ErrorKind, Write};

use super::failure::Failure;

/// Writes data to standard output.
///
/// # Errors
/// Standard output cannot be written, for instance because the disk is full.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::Internal(format!("standard output cannot be written: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error, for the person at the terminal.
pub fn say(line: &str) {
    // Nobody is left to read the error.
    drop(writeln!(io::stderr().lock(), "{line}"));
}
