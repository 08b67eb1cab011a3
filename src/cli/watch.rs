//! `perfgraph watch`: the slowest endpoints of a project on a running server, as they are now.
//!
//! On a terminal a table that is drawn anew in its place; elsewhere a line for each endpoint, for other programs. A server
//! that goes away is waited for.

mod connection;
mod ranking;
mod table;

use std::{io::IsTerminal, time::Duration};

use console::Term;
use tokio::{signal::ctrl_c, time::sleep};

use self::{
    connection::{Connection, Fault},
    ranking::{Project, Ranking, Trends},
    table::Table,
};
use super::{arguments::Watch, failure::Failure};
use crate::model::timestamp;

/// How long to wait before the server is tried again: twice as long every time, up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Watches until Ctrl-C, or once.
pub fn run(command: &Watch) -> Result<(), Failure> {
    let window =
        timestamp::duration_micros(&command.window).map_err(|error| Failure::Data(format!("--window: {error}")))?;
    timestamp::duration_micros(&command.every).map_err(|error| Failure::Data(format!("--every: {error}")))?;
    let url = connection::address(&command.url).map_err(|why| Failure::Data(format!("--url: {why}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    runtime.block_on(async {
        let mut view = View::new(command, window);
        let ended = tokio::select! {
            ended = view.follow(command, &url) => ended,
            _ = ctrl_c() => Err(Failure::Interrupted("stopped watching".to_owned())),
        };
        view.close();
        ended
    })
}

/// What is shown, and where.
struct View {
    term: Term,
    /// Lines that are drawn and can be drawn over.
    drawn: usize,
    in_place: bool,
    once: bool,
    window_micros: i64,
    trends: Trends,
}

impl View {
    fn new(command: &Watch, window_micros: i64) -> Self {
        let in_place = std::io::stdout().is_terminal() && !command.once;
        let term = Term::stdout();
        if in_place {
            // A terminal that cannot hide it shows it.
            let _ = term.hide_cursor();
        }
        Self { term, drawn: 0, in_place, once: command.once, window_micros, trends: Trends::default() }
    }

    fn close(&self) {
        if self.in_place {
            let _ = self.term.show_cursor();
        }
    }

    /// Connects, and again whenever the connection is lost.
    async fn follow(&mut self, command: &Watch, url: &str) -> Result<(), Failure> {
        let mut wait = BACKOFF.0;
        let mut has_shown = false;
        loop {
            match self.watch(command, url, &mut has_shown, &mut wait).await {
                Ok(()) => return Ok(()),
                Err(Fault::Refused(why)) => return Err(Failure::Data(why)),
                // Whoever starts it should hear at once that there is nothing to watch.
                Err(Fault::Lost(why)) if self.once || !has_shown => {
                    return Err(Failure::Unavailable(format!("cannot watch {url}: {why}")));
                }
                Err(Fault::Lost(why)) => {
                    self.say(&format!(
                        "the connection to {url} is lost ({why}); trying again in {:.1} s",
                        wait.as_secs_f64()
                    ));
                    sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
        }
    }

    async fn watch(
        &mut self,
        command: &Watch,
        url: &str,
        has_shown: &mut bool,
        wait: &mut Duration,
    ) -> Result<(), Fault> {
        let mut connection = Connection::open(url).await?;
        let project = Project::find(&mut connection, &command.project).await?;
        connection.subscribe(ranking::QUERY, ranking::variables(&project, command)).await?;
        loop {
            let ranking = Ranking::read(&connection.next().await?, self.window_micros)?;
            self.trends.add(&ranking);
            self.show(&project, &ranking, command);
            (*has_shown, *wait) = (true, BACKOFF.0);
            if self.once {
                return Ok(());
            }
        }
    }

    fn show(&mut self, project: &Project, ranking: &Ranking, command: &Watch) {
        if !self.in_place && !self.once {
            for line in ranking.lines() {
                self.write(&line);
            }
            return;
        }
        let (height, width) = if self.term.is_term() { self.term.size() } else { (u16::MAX, 120) };
        let table = Table { project: &project.name, ranking, trends: &self.trends, command };
        // The last line of a terminal stays free, or it would scroll.
        let lines = table.lines(usize::from(width), usize::from(height).saturating_sub(1));
        self.erase();
        for line in &lines {
            self.write(line);
        }
        self.drawn = if self.in_place { lines.len() } else { 0 };
    }

    fn erase(&mut self) {
        // What cannot be erased scrolls away.
        let _ = self.term.clear_last_lines(std::mem::take(&mut self.drawn));
    }

    /// Nobody reads any more once this fails; Ctrl-C or the closed pipe ends it.
    fn write(&self, line: &str) {
        if self.term.write_line(line).is_err() {
            std::process::exit(0);
        }
    }

    #[expect(clippy::print_stderr, reason = "talk for the person at the terminal")]
    fn say(&mut self, text: &str) {
        if self.in_place {
            self.erase();
            self.write(text);
            self.drawn = 1;
        } else {
            eprintln!("perfgraph: {text}");
        }
    }
}
