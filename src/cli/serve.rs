//! `perfgraph serve`: applies migrations, fills the default database with sample data if it is empty, and serves until a
//! signal.

use super::{failure::Failure, first_look, log_queue::LogQueue, signals::Signals};
use crate::{
    app::{App, checking},
    clock::Clock,
    config::{Config, Demo},
    db::{Instance, instance::require_file},
    seed,
};

/// Serves until SIGINT, SIGTERM or SIGHUP, then drains.
pub async fn run(config: &Config, log: &LogQueue) -> Result<(), Failure> {
    // Registered first, because a signal during the start must end it cleanly too.
    let mut signals = Signals::listen()?;
    let started = tokio::select! {
        app = start(config) => Some(app?),
        // Dropping the start releases its locks. Nothing has been acknowledged yet.
        _ = signals.stop() => None,
    };
    let Some(app) = started else {
        tracing::info!("stopped during the start");
        return Ok(());
    };
    if config.server.demo == Demo::On && !app.has_demo_traffic() {
        tracing::warn!("server.demo is on without effect: the database holds data, but no projects of the sample data");
    }
    log.say(&greeting(&app, config, seed::is_empty(app.core()).await?));
    let signal = signals.stop().await;
    tracing::info!("{signal} received, draining");
    app.stop().await;
    Ok(())
}

async fn start(config: &Config) -> Result<App, Failure> {
    if !config.database.migrate_on_start {
        // An operator who applies migrations manually also creates the file manually.
        require_file(&config.database)?;
    }
    let mut instance = Instance::claim(&config.database, config.server.node)?;
    let listener = checking::until_checked(&mut instance, config).await?;
    // The instance holds its lock, so no other process fills the same file.
    first_look::prepare(config).await?;
    Ok(App::start_as(instance, listener, config, Clock::system()).await?)
}

/// Shown to the person who started the server, whatever the log filter is.
fn greeting(app: &App, config: &Config, is_empty: bool) -> String {
    let address = app.address();
    let first_step = if is_empty {
        format!(
            "The database {} holds no data yet. For sample data, start the server with --demo.\n",
            config.database.url
        )
    } else {
        format!(
            "A first query:

  curl -s http://{address}/graphql -H 'content-type: application/json' \\
    -d '{{\"query\":\"{{ slowestEndpoints(first: 3) {{ endpoint value project {{ name organization {{ name }} }} owners {{ name }} }} }}\"}}'
"
        )
    };
    let demo = if app.has_demo_traffic() {
        "Demo traffic: the sample projects get about three measurements per second. --no-demo switches it off.\n"
    } else {
        ""
    };
    format!(
        "perfgraph serves on http://{address}

  GraphiQL       http://{address}/graphql
  subscriptions  ws://{address}/graphql (graphql-transport-ws)
  health         http://{address}/readyz

There is no authentication yet: everyone who reaches this address has all rights, so it accepts loopback connections only.
{demo}{first_step}
"
    )
}
