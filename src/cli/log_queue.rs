//! The queue of log lines in front of standard error. A thread empties it, so a pipe that nobody reads stops no request:
//! lines that do not fit are dropped and counted.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// A handle to the queue; clones share it.
#[derive(Clone, Debug)]
pub struct LogQueue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Notified when lines arrive, and when all are written.
    changed: Condvar,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// The length of all lines.
    bytes: usize,
    /// Number of lines that did not fit since the last notice.
    dropped: u64,
    is_writing: bool,
}

impl LogQueue {
    /// A queue of at most this many bytes, with the thread that writes it to standard error.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(bytes_max: usize) -> io::Result<Self> {
        let queue = Self::new(bytes_max);
        // A descriptor of its own: a thread that waits for a reader must not hold the lock of `io::stderr`.
        let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let writer = queue.clone();
        thread::Builder::new().name("log".to_owned()).spawn(move || writer.write_all_to(stderr))?;
        Ok(queue)
    }

    fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), changed: Condvar::new(), bytes_max }))
    }

    /// Adds a text that must not be dropped, such as the message of a failed command.
    pub fn say(&self, text: &str) {
        self.add(text.as_bytes(), usize::MAX);
    }

    /// Waits until everything is written, or for this long if nobody reads.
    pub fn flush(&self, patience: Duration) {
        let is_busy = |state: &mut State| state.is_writing || !state.lines.is_empty();
        drop(self.0.changed.wait_timeout_while(self.state(), patience, is_busy));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, line: &[u8], bytes_max: usize) {
        let mut state = self.state();
        if state.bytes.saturating_add(line.len()) > bytes_max {
            state.dropped += 1;
            return;
        }
        state.bytes += line.len();
        state.lines.push_back(line.to_vec());
        self.0.changed.notify_all();
    }

    /// Writes lines as they arrive, for as long as the process runs.
    fn write_all_to(&self, mut out: impl Write) {
        loop {
            let (line, dropped) = self.next();
            // Whoever closed the pipe wants no lines.
            let _ = out.write_all(&line);
            self.state().is_writing = false;
            self.0.changed.notify_all();
            if dropped > 0 {
                tracing::warn!(
                    lines = dropped,
                    "log lines were dropped, because standard error was not read fast enough (log.queue_bytes_max)"
                );
            }
        }
    }

    /// The next line, and the number of dropped lines once there is room for a notice.
    fn next(&self) -> (Vec<u8>, u64) {
        let mut state = self.state();
        loop {
            if let Some(line) = state.lines.pop_front() {
                state.bytes -= line.len();
                state.is_writing = true;
                let has_room = state.bytes <= self.0.bytes_max / 2;
                let dropped = if has_room { std::mem::take(&mut state.dropped) } else { 0 };
                return (line, dropped);
            }
            state = self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Takes one formatted line per call.
impl Write for LogQueue {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.add(line, self.0.bytes_max);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_beyond_the_bound_are_dropped_and_counted_once() {
        let mut queue = LogQueue::new(10);
        for line in [&b"four"[..], b"five5", b"six"] {
            assert_eq!(queue.write(line).unwrap(), line.len());
        }
        queue.say("a message that must arrive");
        assert_eq!(queue.next(), (b"four".to_vec(), 0), "no room for a notice yet");
        assert_eq!(queue.next(), (b"five5".to_vec(), 0));
        assert_eq!(queue.next(), (b"a message that must arrive".to_vec(), 1));
        assert_eq!(queue.state().bytes, 0);
        queue.say("next");
        assert_eq!(queue.next(), (b"next".to_vec(), 0));
    }
}
