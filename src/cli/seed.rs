//! `perfgraph seed`: fills a database with sample data and shows its progress.

use std::{io::IsTerminal, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use super::{
    arguments::{Seed, SeedSize},
    failure::Failure,
    output,
};
use crate::{
    app::Core,
    clock::{Clock, Stopwatch},
    config::Config,
    db::instance::{Instance, SAMPLE_NODE},
    seed::{self, Plan, Size},
};

/// Interval of progress lines if there is no terminal for a progress bar, in milliseconds.
const LINE_INTERVAL_MS: f64 = 5_000.0;

/// Fills the database.
pub async fn run(config: &Config, command: &Seed) -> Result<(), Failure> {
    let until = command.until.unwrap_or_else(|| Clock::system().now());
    let size = match command.size {
        SeedSize::Small => Size::Small,
        SeedSize::Medium => Size::Medium,
        SeedSize::Large => Size::Large,
        SeedSize::Huge => Size::Huge,
    };
    let plan = Plan { size, rng_seed: command.rng_seed };
    // Ids come from a fixed node and a fixed clock, so that the same plan generates the same ids.
    let instance = Instance::claim(&config.database, Some(SAMPLE_NODE))?;
    let core = Core::open(config, Clock::fixed(until), instance).await?;
    if !seed::is_empty(&core).await? {
        core.close().await;
        let url = &config.database.url;
        return Err(Failure::Data(format!("{url} is not empty; name a new database with --database-url")));
    }
    let watch = Stopwatch::start();
    let total = seed::expected_rows(&plan);
    let bar = if std::io::stderr().is_terminal() { bar(total) } else { ProgressBar::hidden() };
    let mut last_line = 0.0;
    let filled = seed::fill(&core, &plan, &mut |rows| {
        bar.set_position(rows);
        if bar.is_hidden() && watch.elapsed_ms() - last_line > LINE_INTERVAL_MS {
            last_line = watch.elapsed_ms();
            output::say(&format!("{rows} of about {total} metrics, {:.0} a second", rate(rows, &watch)));
        }
    })
    .await;
    bar.finish_and_clear();
    core.close().await;
    let rows = filled?;
    output::say(&format!(
        "{rows} metrics in {:.1} s, {:.0} a second",
        watch.elapsed_ms() / 1_000.0,
        rate(rows, &watch)
    ));
    Ok(())
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    let style = "{bar:40} {human_pos} of {human_len} metrics, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

#[expect(clippy::cast_precision_loss, reason = "a rate to read")]
fn rate(rows: u64, watch: &Stopwatch) -> f64 {
    rows as f64 / (watch.elapsed_ms() / 1_000.0).max(0.001)
}
