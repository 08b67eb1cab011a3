//! `perfgraph serve`: fills an empty SQLite database with sample data, applies migrations, and serves until a signal.

use tokio::signal::unix::{SignalKind, signal};

use super::{failure::Failure, first_look};
use crate::{app::App, clock::Clock, config::Config, db::Instance};

/// Serves until SIGINT or SIGTERM, then drains.
pub async fn run(config: &Config) -> Result<(), Failure> {
    // Registered first, because a signal during the start must end it cleanly too.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    let started = tokio::select! {
        app = start(config) => Some(app?),
        // Dropping the start releases its locks. Nothing has been acknowledged yet.
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let Some(app) = started else {
        tracing::info!("stopped during the start");
        return Ok(());
    };
    greet(&app);
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("SIGINT received, draining"),
        _ = terminate.recv() => tracing::info!("SIGTERM received, draining"),
    }
    app.stop().await;
    Ok(())
}

async fn start(config: &Config) -> Result<App, Failure> {
    let instance = Instance::claim(&config.database, config.server.node).await?;
    // The instance holds its lock, so no other process fills the same file.
    first_look::fill_if_empty(config).await?;
    Ok(App::start_as(instance, config, Clock::system()).await?)
}

#[expect(clippy::print_stderr, reason = "shown to the person who started it, whatever the log filter is")]
fn greet(app: &App) {
    let address = app.address();
    eprintln!(
        "perfgraph serves on http://{address}

  GraphiQL       http://{address}/graphql
  subscriptions  ws://{address}/graphql (graphql-transport-ws)
  health         http://{address}/readyz

There is no authentication yet: everyone who reaches this address has all rights, so it accepts loopback connections only.
A first query:

  curl -s http://{address}/graphql -H 'content-type: application/json' \\
    -d '{{\"query\":\"{{ slowestEndpoints(first: 3) {{ endpoint value project {{ name }} owners {{ name }} }} }}\"}}'
"
    );
}
