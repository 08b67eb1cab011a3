//! `perfgraph serve`: fills an empty SQLite database with sample data, migrates, serves until told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::{failure::Failure, first_look};
use crate::{app::App, clock::Clock, config::Config, db::Instance};

/// Serves until SIGINT or SIGTERM, then drains.
pub async fn run(config: &Config) -> Result<(), Failure> {
    // Before anything else: a signal during the start must end it cleanly too.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    let started = tokio::select! {
        app = start(config) => Some(app?),
        // What was begun is dropped with its locks; nothing was promised to anybody yet.
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
    };
    let Some(app) = started else {
        tracing::info!("stopped before the start was over");
        return Ok(());
    };
    greet(&app);
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("interrupted, draining"),
        _ = terminate.recv() => tracing::info!("terminated, draining"),
    }
    app.stop().await;
    Ok(())
}

async fn start(config: &Config) -> Result<App, Failure> {
    let instance = Instance::claim(&config.database, config.server.node).await?;
    // Under the instance's lock: nobody else fills the same file meanwhile.
    first_look::fill_if_empty(config).await?;
    Ok(App::start_as(instance, config, Clock::system()).await?)
}

#[expect(clippy::print_stderr, reason = "talk for the person who started it, whatever the log filter is")]
fn greet(app: &App) {
    let address = app.address();
    eprintln!(
        "perfgraph serves on http://{address}

  GraphiQL       http://{address}/graphql
  subscriptions  ws://{address}/graphql (graphql-transport-ws)
  health         http://{address}/readyz

No authentication is configured: whoever reaches this address is its administrator, so it is on loopback only.
A first question:

  curl -s http://{address}/graphql -H 'content-type: application/json' \\
    -d '{{\"query\":\"{{ slowestEndpoints(limit: 3) {{ endpoint value project {{ name }} owners {{ name }} }} }}\"}}'
"
    );
}
