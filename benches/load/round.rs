//! One round of load on one server, and what it cost; and the median over the rounds.

use std::{
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;

use crate::{Outcome, client::Connection, cpu, server::Server};

/// Bytes by which equal answers may differ.
const LAST_DIGITS: usize = 16;

/// The load of a round: a number of requests, or a duration.
#[derive(Clone, Copy)]
pub struct Load {
    /// At most.
    pub requests: usize,
    /// Sending ends after this.
    pub limit: Duration,
    /// At once.
    pub connections: usize,
}

/// The check of every answer: a server that fails quickly must not look fast.
#[derive(Clone, Copy)]
pub enum Expect {
    /// About as long as the answer that was looked at: sums in another order differ in their last digits.
    Bytes(usize),
    /// Holds this text.
    Text(&'static str),
}

/// The cost of a round.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// Requests in a second.
    pub requests_per_second: f64,
    /// CPU of the server for a request.
    pub cpu_micros: f64,
    /// CPU of PostgreSQL for a request; SQLite's is in the server's.
    pub database_micros: Option<f64>,
}

impl Figures {
    /// CPU of the server and of its database for a request.
    pub fn all_cpu_micros(&self) -> f64 {
        self.cpu_micros + self.database_micros.unwrap_or(0.0)
    }
}

/// Sends `requests` in turn and measures. `postmaster` is the database server, where there is one.
pub async fn run(
    server: &Server,
    postmaster: Option<u32>,
    requests: &[Vec<u8>],
    expect: Expect,
    load: Load,
) -> Outcome<(Figures, u32)> {
    let database = || postmaster.map(cpu::of_family).transpose();
    let (cpu, database_cpu, start) = (server.cpu()?, database()?, Instant::now());
    let next = AtomicUsize::new(0);
    let one = || send(server.address, requests, expect, load, &next, start);
    let sent: u32 = try_join_all((0..load.connections).map(|_| one())).await?.into_iter().sum();
    let elapsed = start.elapsed().as_secs_f64();
    let (cpu, database_cpu) =
        (server.cpu()? - cpu, database()?.zip(database_cpu).map(|(after, before)| after - before));
    let each = |seconds: f64| seconds * 1e6 / f64::from(sent);
    let figures = Figures {
        requests_per_second: f64::from(sent) / elapsed,
        cpu_micros: each(cpu),
        database_micros: database_cpu.map(each),
    };
    Ok((figures, sent))
}

async fn send(
    address: SocketAddr,
    requests: &[Vec<u8>],
    expect: Expect,
    load: Load,
    next: &AtomicUsize,
    start: Instant,
) -> Outcome<u32> {
    let mut connection = Connection::open(address).await?;
    let mut sent = 0;
    loop {
        let place = next.fetch_add(1, Ordering::Relaxed);
        if place >= load.requests || start.elapsed() > load.limit {
            return Ok(sent);
        }
        let body = connection.send(&requests[place % requests.len()]).await?;
        let is_expected = match expect {
            Expect::Bytes(length) => body.len().abs_diff(length) <= LAST_DIGITS,
            Expect::Text(text) => body.windows(text.len()).any(|window| window == text.as_bytes()),
        };
        if !is_expected {
            return Err(format!("an unexpected answer: {}", String::from_utf8_lossy(body)).into());
        }
        sent += 1;
    }
}

/// The median of each figure by itself.
pub fn median(rounds: &[Figures]) -> Figures {
    let of = |read: &dyn Fn(&Figures) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(read).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    Figures {
        requests_per_second: of(&|round| round.requests_per_second),
        cpu_micros: of(&|round| round.cpu_micros),
        database_micros: rounds
            .iter()
            .all(|round| round.database_micros.is_some())
            .then(|| of(&|round| round.database_micros.unwrap_or(f64::NAN))),
    }
}
