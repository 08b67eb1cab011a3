//! Signals that stop a command, and signals that must not end it.
//!
//! SIGINT, SIGTERM and SIGHUP stop. SIGHUP does not under `nohup`, which starts a command with the signal ignored. SIGUSR1
//! and SIGUSR2, by which other programs reopen logs or print statistics, do nothing here; without a handler they would end
//! the process at once.

use std::fs;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::Failure;

/// The registered signals.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` if the process was started with SIGHUP ignored.
    hangup: Option<Signal>,
    user: [Signal; 2],
}

impl Signals {
    /// Registers all of them for the rest of the process.
    pub fn listen() -> Result<Self, Failure> {
        let register = |kind| signal(kind).map_err(Failure::internal);
        let hangup = SignalKind::hangup();
        // Without /proc the answer is unknown, and a hang-up stops the command as it would without a handler.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        Ok(Self {
            interrupt: register(SignalKind::interrupt())?,
            terminate: register(SignalKind::terminate())?,
            hangup: if is_ignored(&status, hangup) { None } else { Some(register(hangup)?) },
            user: [register(SignalKind::user_defined1())?, register(SignalKind::user_defined2())?],
        })
    }

    /// Waits for a signal that stops the command. Returns its name.
    pub async fn stop(&mut self) -> &'static str {
        let [first, second] = &mut self.user;
        loop {
            let ignored = tokio::select! {
                biased;
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.terminate.recv() => return "SIGTERM",
                () = received(self.hangup.as_mut()) => return "SIGHUP",
                _ = first.recv() => "SIGUSR1",
                _ = second.recv() => "SIGUSR2",
            };
            tracing::info!("{ignored} received and ignored; SIGTERM stops the server");
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}

/// Reads the mask of ignored signals from `/proc/self/status`.
fn is_ignored(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        let status = "Name:\tperfgraph\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001000\n";
        assert!(!is_ignored(status, SignalKind::hangup()), "it is blocked, not ignored");
        assert!(is_ignored(status, SignalKind::pipe()));
        assert!(is_ignored("SigIgn:\t0000000000001001", SignalKind::hangup()));
        assert!(!is_ignored("", SignalKind::hangup()));
    }
}
