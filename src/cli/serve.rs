//! `perfgraph serve`: migrates, fills an empty database with sample data, serves until told to stop.

use tokio::signal::unix::{SignalKind, signal};

use super::{failure::Failure, seed};
use crate::{
    app::{App, Core},
    clock::Clock,
    config::Config,
    seed::{Plan, Size},
};

/// The random numbers of the sample data that a first start makes.
const RNG_SEED: u64 = 1;

/// Serves until SIGINT or SIGTERM, then drains.
pub async fn run(config: &Config) -> Result<(), Failure> {
    // Before anything else: a signal during the start must end it cleanly too.
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
    if config.database.url.is_sqlite() {
        fill_if_empty(config).await?;
    }
    let app = App::start(config, Clock::system()).await?;
    greet(&app);
    tokio::select! {
        _ = interrupt.recv() => tracing::info!("interrupted, draining"),
        _ = terminate.recv() => tracing::info!("terminated, draining"),
    }
    app.stop().await;
    Ok(())
}

/// The embedded database is somebody's first look: it should have something to show. A PostgreSQL database belongs to an
/// operator, who seeds it if they want to.
async fn fill_if_empty(config: &Config) -> Result<(), Failure> {
    let now = Clock::system().now();
    let core = Core::open(config, Clock::fixed(now), seed::id_generator()).await?;
    let is_empty = crate::seed::is_empty(&core).await?;
    if is_empty {
        tracing::info!("the database is empty: filling it with small sample data");
        crate::seed::fill(&core, &Plan { size: Size::Small, rng_seed: RNG_SEED }, &mut |_| {}).await?;
    }
    core.close().await;
    Ok(())
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
