//! `perfgraph tail`: one line for each measurement that a running server records.
//!
//! After a lost connection the stream goes on behind its last cursor, so no line is missing and none is printed twice. Before
//! the first event, which comes after 15 seconds at the latest, there is no cursor, and the gap is reported.

use std::io::{self, Write};

use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    arguments::Tail,
    client::{ClientError, Pauses, websocket::Connection},
    failure::Failure,
    output,
};

/// The stream. `project` is read only where lines may be of several projects.
fn subscription(with_project: bool) -> String {
    let project = if with_project { "project { slug organization { slug } }" } else { "" };
    format!(
        "subscription ($filter: StreamFilter!, $after: StreamCursor) {{
            metricStream(filter: $filter, after: $after) {{
                cursor gap {{ missed reason }}
                metrics {{ timestamp type endpoint value unit statusCode name releaseVersion {project} }}
            }}
        }}"
    )
}

/// Prints measurements until a signal, or until the reader of the output is gone.
pub fn run(command: &Tail) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
        let mut follower = Follower { command, after: command.after.clone(), has_begun: false };
        tokio::select! {
            ended = follower.follow() => ended,
            _ = interrupt.recv() => Err(Failure::Interrupted("stopped following".to_owned())),
            _ = terminate.recv() => Err(Failure::Interrupted("stopped following".to_owned())),
        }
    })
}

/// A stream across connections.
struct Follower<'a> {
    command: &'a Tail,
    /// The cursor behind everything that was printed.
    after: Option<String>,
    /// A stream was open once, so a lost connection is opened again.
    has_begun: bool,
}

impl Follower<'_> {
    async fn follow(&mut self) -> Result<(), Failure> {
        let mut pauses = Pauses::default();
        loop {
            match self.connected(&mut pauses).await {
                Ok(()) | Err(ClientError::OutputClosed) => return Ok(()),
                Err(ClientError::Lost(why)) if self.has_begun => {
                    let seconds = pauses.seconds();
                    output::say(&format!("perfgraph: the connection is lost; trying again in {seconds:.1} s ({why})"));
                    pauses.wait().await;
                }
                Err(fault) => return fault.into_failure(&format!("follow {}", self.command.url)),
            }
        }
    }

    /// Prints the events of one connection.
    async fn connected(&mut self, pauses: &mut Pauses) -> Result<(), ClientError> {
        let mut connection = Connection::open(&self.command.url).await?;
        let mut projects = Vec::new();
        for named in &self.command.projects {
            projects.push(connection.project(named).await?);
        }
        // By slugs, which end the stream when their project is deleted. An id stays the same.
        let slugs: Vec<_> = projects.iter().map(|project| project.slug.as_str()).collect();
        let filter = if slugs.is_empty() { json!({}) } else { json!({ "projectSlugs": slugs }) };
        let variables = json!({ "filter": filter, "after": self.after });
        connection.subscribe(&subscription(self.command.projects.len() != 1), variables).await?;
        if self.has_begun && self.after.is_none() {
            output::say("perfgraph: what was recorded meanwhile is missing: nothing had arrived to continue from");
        }
        self.has_begun = true;
        loop {
            let mut data = connection.next().await?;
            let event = &mut data["metricStream"];
            self.print(event)?;
            if let Some(cursor) = event["cursor"].as_str() {
                self.after = Some(cursor.to_owned());
            }
            pauses.reset();
        }
    }

    fn print(&self, event: &Value) -> Result<(), ClientError> {
        if let Some(gap) = Some(&event["gap"]).filter(|gap| !gap.is_null()) {
            let missed = gap["missed"].as_u64().map_or_else(|| "some".to_owned(), |missed| missed.to_string());
            let reason = gap["reason"].as_str().unwrap_or_default();
            output::say(&format!("perfgraph: {missed} measurements are missing here ({reason})"));
        }
        let Some(metrics) = event["metrics"].as_array().filter(|metrics| !metrics.is_empty()) else { return Ok(()) };
        let line = if self.command.json { json_line } else { text_line };
        let text: String = metrics.iter().map(line).collect();
        let mut out = io::stdout().lock();
        // Whatever the reason: nobody reads on.
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|_| ClientError::OutputClosed)
    }
}

/// The slugs of the project of a measurement, if they were read.
fn slugs(metric: &Value) -> Option<String> {
    let project = &metric["project"];
    Some(format!("{}/{}", project["organization"]["slug"].as_str()?, project["slug"].as_str()?))
}

/// A measurement as a JSON object.
fn json_line(metric: &Value) -> String {
    let mut flat = metric.clone();
    if let Some(slugs) = slugs(metric) {
        flat["project"] = slugs.into();
    }
    format!("{flat}\n")
}

/// A measurement as fields separated by two spaces, of which only the last ones may be absent.
fn text_line(metric: &Value) -> String {
    let text = |field: &str| metric[field].as_str().filter(|text| !text.is_empty()).map(ToOwned::to_owned);
    let value = match text("unit") {
        Some(unit) => format!("{} {unit}", metric["value"]),
        None => metric["value"].to_string(),
    };
    let fields = [
        text("timestamp"),
        slugs(metric),
        text("type"),
        text("endpoint"),
        Some(value),
        metric["statusCode"].as_u64().map(|status| status.to_string()),
        text("name"),
        text("releaseVersion"),
    ];
    let fields: Vec<_> = fields.into_iter().flatten().collect();
    format!("{}\n", fields.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_measurement_is_one_line_for_people_or_for_programs() {
        let metric = json!({
            "timestamp": "2026-01-31T12:00:00Z", "type": "API_RESPONSE", "endpoint": "GET /orders", "value": 183.2,
            "unit": "ms", "statusCode": 200, "name": null, "releaseVersion": "1.4",
            "project": { "slug": "web-shop", "organization": { "slug": "acme" } },
        });
        assert_eq!(
            text_line(&metric),
            "2026-01-31T12:00:00Z  acme/web-shop  API_RESPONSE  GET /orders  183.2 ms  200  1.4\n"
        );
        let read: Value = serde_json::from_str(&json_line(&metric)).unwrap();
        assert_eq!((&read["project"], &read["value"]), (&json!("acme/web-shop"), &json!(183.2)));
    }
}
