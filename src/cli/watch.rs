//! `perfgraph watch`: the slowest endpoints of a project on a running server, as they are now.
//!
//! On a terminal a table that is drawn anew in its place; elsewhere a line for each endpoint, for other programs. A server
//! that goes away is waited for.

mod connection;
mod ranking;
mod screen;
mod table;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use console::Term;
use tokio::{
    signal::unix::{SignalKind, signal},
    time::sleep,
};

use self::{
    connection::{Connection, Fault},
    ranking::{Project, Ranking, Trends},
    screen::Screen,
    table::Table,
};
use super::{arguments::Watch, failure::Failure};
use crate::{clock::Clock, model::timestamp};

/// How long to wait before the server is tried again: twice as long every time, up to the second.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(10));

/// Columns where there is no terminal to ask.
const WIDTH: usize = 120;

/// Watches until somebody stops it, or once.
pub fn run(command: &Watch) -> Result<(), Failure> {
    let window =
        timestamp::duration_micros(&command.window).map_err(|error| Failure::Data(format!("--window: {error}")))?;
    timestamp::duration_micros(&command.every).map_err(|error| Failure::Data(format!("--every: {error}")))?;
    let url = connection::address(&command.url).map_err(|why| Failure::Data(format!("--url: {why}")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    runtime.block_on(async {
        // Either of them leaves the terminal as it was.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
        let mut view = View::new(command, window);
        tokio::select! {
            ended = view.follow(command, &url) => ended,
            _ = interrupt.recv() => Err(Failure::Interrupted("stopped watching".to_owned())),
            _ = terminate.recv() => Err(Failure::Interrupted("stopped watching".to_owned())),
        }
    })
}

/// What is shown, and where.
struct View {
    /// A terminal that is drawn over in its place; elsewhere there are lines.
    screen: Option<Screen>,
    once: bool,
    window_micros: i64,
    trends: Trends,
}

impl View {
    fn new(command: &Watch, window_micros: i64) -> Self {
        let in_place = io::stdout().is_terminal() && !command.once;
        let screen = in_place.then(|| Screen::new(Term::buffered_stdout()));
        Self { screen, once: command.once, window_micros, trends: Trends::default() }
    }

    /// Connects, and again whenever the connection is lost.
    async fn follow(&mut self, command: &Watch, url: &str) -> Result<(), Failure> {
        let mut wait = BACKOFF.0;
        let mut has_shown = false;
        if let Some(screen) = &mut self.screen {
            // A server that is far or busy takes its time, and a person wants to know for what.
            let _ = screen.note(&format!("connecting to {url}"));
        }
        loop {
            match self.watch(command, url, &mut has_shown, &mut wait).await {
                Ok(()) | Err(Fault::Unread) => return Ok(()),
                Err(Fault::Refused(why)) => return Err(Failure::Data(why)),
                // Whoever starts it should hear at once that there is nothing to watch.
                Err(Fault::Lost(why)) if self.once || !has_shown => {
                    return Err(Failure::Unavailable(format!("cannot watch {url}: {why}")));
                }
                Err(Fault::Lost(why)) => {
                    let seconds = wait.as_secs_f64();
                    self.say(&format!("the connection is lost; trying again in {seconds:.1} s ({why})"));
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
            // Nobody reads any more once this fails.
            self.show(&project, &ranking, command).map_err(|_| Fault::Unread)?;
            (*has_shown, *wait) = (true, BACKOFF.0);
            if self.once {
                return Ok(());
            }
        }
    }

    fn show(&mut self, project: &Project, ranking: &Ranking, command: &Watch) -> io::Result<()> {
        // Of nothing the server says no time, and a person wants to see that it is watched all the same.
        let at = if ranking.until.is_empty() { Clock::system().now().to_string() } else { ranking.until.clone() };
        let window_micros = self.window_micros;
        let table = Table { project: &project.name, ranking, trends: &self.trends, command, window_micros, at: &at };
        if let Some(screen) = &mut self.screen {
            let (width, height) = screen.room();
            return screen.show(table.lines(width, height));
        }
        let term = Term::stdout();
        let width = if term.is_term() { usize::from(term.size().1) } else { WIDTH };
        let lines = if self.once { table.lines(width, usize::MAX) } else { ranking.lines() };
        lines.iter().try_for_each(|line| term.write_line(line))
    }

    #[expect(clippy::print_stderr, reason = "talk for the person at the terminal")]
    fn say(&mut self, text: &str) {
        match &mut self.screen {
            // A terminal that is gone is noticed by the next table.
            Some(screen) => drop(screen.note(text)),
            None => eprintln!("perfgraph: {text}"),
        }
    }
}
