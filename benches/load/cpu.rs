//! CPU time from `/proc`, of a process and of a PostgreSQL server with all its backends.

use std::fs;

use crate::Outcome;

/// The kernel tells times in hundredths of a second, whatever its own tick is.
const TICKS_PER_SECOND: f64 = 100.0;

/// CPU seconds of a process.
pub struct Cpu {
    parent: u32,
    /// Its own.
    pub own: f64,
    /// Those of children that ended.
    ended_children: f64,
}

/// Reads `/proc/PID/stat`.
pub fn of(pid: u32) -> Outcome<Cpu> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold blanks, so fields are counted behind it: state, parent, ...
    let (_, rest) = text.rsplit_once(')').ok_or("a stat file without a name")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let field = |place: usize| fields.get(place).copied().ok_or("a short stat file");
    let ticks = |place: usize| -> Outcome<f64> { Ok(field(place)?.parse::<f64>()? / TICKS_PER_SECOND) };
    Ok(Cpu { parent: field(1)?.parse()?, own: ticks(11)? + ticks(12)?, ended_children: ticks(13)? + ticks(14)? })
}

/// The parent of a process: of a backend it is the whole PostgreSQL server.
pub fn parent(pid: u32) -> Outcome<u32> {
    Ok(of(pid)?.parent)
}

/// CPU seconds of a process and all its children, also those that ended.
pub fn of_family(pid: u32) -> Outcome<f64> {
    let head = of(pid)?;
    let mut sum = head.own + head.ended_children;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end between the listing and the reading.
        if let Ok(child) = of(child) {
            sum += if child.parent == pid { child.own } else { 0.0 };
        }
    }
    Ok(sum)
}
