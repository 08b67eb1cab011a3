//! `perfgraph watch`: the slowest endpoints of a project on a running server.
//!
//! On a terminal it shows a table that is updated in place; otherwise it prints one line per endpoint for other programs. It
//! reconnects if the connection is lost.

mod ranking;
mod screen;
mod table;

use std::io::{self, IsTerminal};

use console::Term;
use tokio::signal::unix::{SignalKind, signal};

use self::{
    ranking::{Ranking, Trends},
    screen::Screen,
    table::Table,
};
use super::{
    arguments::Watch,
    client::{ClientError, Pauses, ServerAddress, project::Project, unreachable, websocket::Connection},
    failure::Failure,
    output,
};
use crate::{clock::Clock, model::timestamp};

/// Width of the table if standard output is no terminal.
const WIDTH: usize = 120;

/// Watches until a signal, or once.
pub fn run(command: &Watch) -> Result<(), Failure> {
    let window =
        timestamp::duration_micros(&command.window).map_err(|error| Failure::Data(format!("--window: {error}")))?;
    timestamp::duration_micros(&command.every).map_err(|error| Failure::Data(format!("--every: {error}")))?;
    let address = &command.url;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    runtime.block_on(async {
        // Both signals restore the terminal.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
        let mut view = View::new(command, window);
        tokio::select! {
            ended = view.follow(command, address) => ended,
            _ = interrupt.recv() => Err(Failure::Interrupted("stopped watching".to_owned())),
            _ = terminate.recv() => Err(Failure::Interrupted("stopped watching".to_owned())),
        }
    })
}

/// The output and its state.
struct View {
    /// The terminal, if the table is updated in place.
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

    /// Connects, and reconnects when the connection is lost.
    async fn follow(&mut self, command: &Watch, address: &ServerAddress) -> Result<(), Failure> {
        let mut pauses = Pauses::default();
        let mut has_shown = false;
        if let Some(screen) = &mut self.screen {
            // Connecting to a remote or busy server may take a while.
            let _ = screen.note(&format!("connecting to {address}"));
        }
        loop {
            match self.watch(command, address, &mut has_shown, &mut pauses).await {
                Ok(()) | Err(ClientError::OutputClosed) => return Ok(()),
                Err(ClientError::Refused(why)) => return Err(Failure::Data(why)),
                // A server that cannot be reached at the start is reported at once.
                Err(ClientError::Lost(why)) if self.once || !has_shown => {
                    return Err(unreachable(&format!("watch {address}"), &why));
                }
                Err(ClientError::Lost(why)) => {
                    let seconds = pauses.seconds();
                    self.say(&format!("the connection is lost; trying again in {seconds:.1} s ({why})"));
                    pauses.wait().await;
                }
            }
        }
    }

    async fn watch(
        &mut self,
        command: &Watch,
        address: &ServerAddress,
        has_shown: &mut bool,
        pauses: &mut Pauses,
    ) -> Result<(), ClientError> {
        let mut connection = Connection::open(address).await?;
        let project = connection.project(&command.project).await?;
        connection.subscribe(ranking::QUERY, ranking::variables(&project, command)).await?;
        loop {
            let ranking = Ranking::read(&connection.next().await?, self.window_micros)?;
            self.trends.add(&ranking);
            // An error means that the reader of the output is gone.
            self.show(&project, &ranking, command).map_err(|_| ClientError::OutputClosed)?;
            *has_shown = true;
            pauses.reset();
            if self.once {
                return Ok(());
            }
        }
    }

    fn show(&mut self, project: &Project, ranking: &Ranking, command: &Watch) -> io::Result<()> {
        // Without measurements the server sends no time; the current time shows that the table is up to date.
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

    fn say(&mut self, text: &str) {
        match &mut self.screen {
            // If the terminal is gone, writing the next table fails.
            Some(screen) => drop(screen.note(text)),
            None => output::say(&format!("perfgraph: {text}")),
        }
    }
}
