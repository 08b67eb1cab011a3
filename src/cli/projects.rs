//! `perfgraph projects`: the projects of a running server with the slugs that other commands take.

use console::measure_text_width;
use serde_json::{Value, json};

use super::{
    arguments::Projects,
    client::{ClientError, websocket::Connection},
    failure::Failure,
    output,
};

/// A page of projects.
const QUERY: &str = "query ($after: String) {
    projects(first: 100, after: $after) {
        nodes { id name slug status memberCount organization { slug } }
        pageInfo { hasNextPage endCursor }
    }
}";

/// The heads of the columns. The first is what `--project` takes.
const HEADS: [&str; 4] = ["PROJECT", "NAME", "STATUS", "MEMBERS"];

/// Prints the projects.
pub fn run(command: &Projects) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::internal)?;
    match runtime.block_on(list(command)) {
        Ok(nodes) => output::print(&if command.json { lines(&nodes) } else { table(&nodes) }),
        Err(fault) => fault.into_failure(&format!("list the projects of {}", command.url)),
    }
}

/// All projects, sorted by their slugs.
async fn list(command: &Projects) -> Result<Vec<Value>, ClientError> {
    let mut connection = Connection::open(&command.url).await?;
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut data = connection.query(QUERY, json!({ "after": after })).await?;
        let page = &mut data["projects"];
        let Value::Array(nodes) = page["nodes"].take() else {
            return Err(ClientError::Refused("the server sent a list that this version cannot read".to_owned()));
        };
        all.extend(nodes);
        if page["pageInfo"]["hasNextPage"] != true {
            break;
        }
        after = page["pageInfo"]["endCursor"].take();
    }
    all.sort_by_cached_key(slugs);
    Ok(all)
}

/// The slugs of a project.
fn slugs(node: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text(&node["organization"]["slug"]), text(&node["slug"]))
}

/// One JSON object per line.
fn lines(nodes: &[Value]) -> String {
    let line = |node: &Value| {
        let [id, name, status, members] = ["id", "name", "status", "memberCount"].map(|field| &node[field]);
        json!({ "project": slugs(node), "id": id, "name": name, "status": status, "memberCount": members })
    };
    nodes.iter().map(line).fold(String::new(), |text, line| text + &line.to_string() + "\n")
}

/// Aligned columns.
fn table(nodes: &[Value]) -> String {
    let cells = |node: &Value| {
        let text = |field: &str| node[field].as_str().unwrap_or_default().to_owned();
        [slugs(node), text("name"), text("status"), node["memberCount"].to_string()]
    };
    let rows: Vec<_> = std::iter::once(HEADS.map(str::to_owned)).chain(nodes.iter().map(cells)).collect();
    let width = |column: usize| rows.iter().map(|row| measure_text_width(&row[column])).max().unwrap_or(0);
    let widths: Vec<_> = (0..HEADS.len()).map(width).collect();
    let line = |row: &[String; HEADS.len()]| {
        let padded = row.iter().zip(&widths).map(|(cell, width)| {
            let room = width.saturating_sub(measure_text_width(cell));
            format!("{cell}{}", " ".repeat(room))
        });
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_what_is_seen() {
        let node = |slug: &str, name: &str| json!({ "id": "x", "name": name, "slug": slug, "status": "ACTIVE", "memberCount": 3, "organization": { "slug": "acme" } });
        let nodes = [node("web-shop", "日本"), node("api", "Checkout")];
        let expected = "PROJECT        NAME      STATUS  MEMBERS\n\
                        acme/web-shop  日本      ACTIVE  3\n\
                        acme/api       Checkout  ACTIVE  3\n";
        assert_eq!(table(&nodes), expected);
        let expected = r#"{"id":"x","memberCount":3,"name":"日本","project":"acme/web-shop","status":"ACTIVE"}"#;
        assert_eq!(lines(&nodes).lines().next(), Some(expected));
    }
}
