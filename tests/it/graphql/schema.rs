//! The schema: the file on disk is the code's, everything in it is described, and the examples of the explorer fit it.

mod deprecated;
pub mod elements;
mod names;
mod texts;

use std::{collections::BTreeMap, path::PathBuf};

use async_graphql::Variables;
use futures_util::StreamExt;
use perfgraph::{
    auth,
    engine::{Request, watch::Event},
    graphql::schema,
    model::timestamp::MINUTE_MICROS,
};
use serde_json::{Value, json};

use crate::harness::{Server, TestDatabase, World, server::repository};

#[test]
fn the_file_is_what_the_code_says() {
    let file = std::fs::read_to_string(repository("schema.graphql")).unwrap();
    assert!(file == schema::sdl(), "schema.graphql differs from the code: run `make schema`");
}

/// As clients ask, by the text of graphql-js with all its options: it must pass the guard, too.
const INTROSPECTION: &str = r"query IntrospectionQuery {
  __schema {
    description
    queryType { name kind }
    mutationType { name kind }
    subscriptionType { name kind }
    types {
      ...FullType
    }
    directives {
      name
      isRepeatable
      description
      locations
      args(includeDeprecated: true) {
        ...InputValue
      }
    }
  }
}
fragment FullType on __Type {
  kind
  name
  description
  specifiedByURL
  isOneOf
  fields(includeDeprecated: true) {
    name
    description
    args(includeDeprecated: true) {
      ...InputValue
    }
    type {
      ...TypeRef
    }
    isDeprecated
    deprecationReason
  }
  inputFields(includeDeprecated: true) {
    ...InputValue
  }
  interfaces {
    ...TypeRef
  }
  enumValues(includeDeprecated: true) {
    name
    description
    isDeprecated
    deprecationReason
  }
  possibleTypes {
    ...TypeRef
  }
}
fragment InputValue on __InputValue {
  name
  description
  type { ...TypeRef }
  defaultValue
  isDeprecated
  deprecationReason
}
fragment TypeRef on __Type {
  kind
  name
  ofType {
    name
    kind
    ofType {
      name
      kind
      ofType {
        name
        kind
        ofType {
          name
          kind
          ofType {
            name
            kind
            ofType {
              name
              kind
              ofType {
                name
                kind
                ofType {
                  name
                  kind
                  ofType {
                    name
                    kind
                  }
                }
              }
            }
          }
        }
      }
    }
  }
}";

fn items<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

fn lacks_description(of: &Value) -> bool {
    of["description"].as_str().is_none_or(|text| text.trim().is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_is_described() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let data = server.graphql(INTROSPECTION, json!({})).await.data();
    let mut seen = 0;
    let mut bare = Vec::new();
    for of in items(&data["__schema"], "types") {
        let name = of["name"].as_str().unwrap();
        // What GraphQL itself brings.
        if name.starts_with("__") || name == "ID" {
            continue;
        }
        let mut check = |path: String, of: &Value| {
            seen += 1;
            if lacks_description(of) {
                bare.push(path);
            }
        };
        check(name.to_owned(), of);
        for member in ["fields", "inputFields", "enumValues"].into_iter().flat_map(|kind| items(of, kind)) {
            let path = format!("{name}.{}", member["name"].as_str().unwrap());
            check(path.clone(), member);
            for argument in items(member, "args") {
                check(format!("{path}({})", argument["name"].as_str().unwrap()), argument);
            }
        }
    }
    assert!(seen > 200, "introspection showed only {seen} elements");
    assert_eq!(bare, Vec::<String>::new(), "elements without a description");
}

/// The documents that GraphiQL offers as tabs.
fn examples() -> BTreeMap<PathBuf, String> {
    let folder = repository("web/src/graphiql/examples");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let documents = files.filter(|file| file.extension().is_some_and(|extension| extension == "graphql"));
    documents.map(|file| (file.clone(), std::fs::read_to_string(file).unwrap())).collect()
}

/// The ids that the page writes into the variables of examples, by the name in angle brackets.
type Ids = [(&'static str, String); 3];

/// The variables beside an example, with ids as the page writes them in.
fn variables(file: &std::path::Path, ids: &Ids) -> Value {
    let Ok(mut text) = std::fs::read_to_string(file.with_extension("variables.json")) else { return json!({}) };
    for (name, id) in ids {
        text = text.replace(&format!("<{name}>"), id);
    }
    assert!(!text.contains('<'), "web/src/graphiql/ids.ts knows no such id: {text}");
    serde_json::from_str(&text).unwrap()
}

/// A project that runs its second release, and its organization.
async fn known_ids(server: &Server, world: &World) -> Ids {
    let project = world.id("project", 1);
    let now = server.app.core().clock.now();
    let mut release = String::new();
    for (version, minutes) in [("1.0.0", 90), ("1.1.0", 30)] {
        let mutation = "mutation ($input: CreateReleaseInput!) { createRelease(input: $input) { release { id } } }";
        let deployed_at = now.plus_micros(-minutes * MINUTE_MICROS).to_string();
        let input = json!({ "projectId": project, "version": version, "deployedAt": deployed_at });
        let created = server.graphql(mutation, json!({ "input": input })).await.data();
        created["createRelease"]["release"]["id"].as_str().unwrap().clone_into(&mut release);
    }
    [("project", project), ("organization", world.id("organization", 1)), ("release", release)]
}

async fn first(server: &Server, world: &World, ids: &Ids, file: &std::path::Path, document: &str, name: &str) -> Value {
    let variables = Variables::from_json(variables(file, ids));
    let request = Request {
        query: Some(document.to_owned()),
        operation_name: Some(name.to_owned()),
        variables,
        ..Request::default()
    };
    let mut answers = server.app.engine().subscribe(auth::development_viewer(), request).events;
    // A stream answers when something is committed; a refusal comes at once.
    let answer = async {
        loop {
            match answers.next().await.unwrap() {
                Event::Opened(_) => {}
                answer => return answer,
            }
        }
    };
    let commit = async {
        loop {
            let project = world.projects[0].key;
            let now = server.app.core().clock.now();
            crate::harness::builders::ingest(server.app.core(), project, crate::harness::builders::metrics(now, 3))
                .await;
        }
    };
    tokio::select! {
        answer = answer => match answer {
            Event::Response(frame) => serde_json::from_str(&frame.payload).unwrap(),
            other => panic!("{other:?}"),
        },
        () = commit => unreachable!("it goes on for ever"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_explorer_is_answered() {
    let server = Server::fixed(TestDatabase::sqlite().await).await;
    let world = server.seed("organizations=1 employees=3 projects=2 members=2 metrics=6").await;
    let ids = known_ids(&server, &world).await;
    let examples = examples();
    assert!(examples.len() >= 7, "{:?}", examples.keys());
    let mut problems = Vec::new();
    let tabs = std::fs::read_to_string(repository("web/src/graphiql/examples/index.ts")).unwrap();
    for (file, document) in &examples {
        let import = format!("from './{}?raw'", file.file_name().unwrap().display());
        assert!(tabs.contains(&import), "no tab shows {}", file.display());
        let parsed = async_graphql::parser::parse_query(document).unwrap();
        for (name, _) in parsed.operations.iter() {
            let name = name.expect("an operation without a name makes no tab").as_str();
            let answer = first(&server, &world, &ids, file, document, name).await;
            let data = &answer["data"];
            if answer.get("errors").is_some() || data.is_null() {
                problems.push(format!("{name} in {}: {}", file.file_name().unwrap().display(), answer["errors"]));
            }
            if let Some(rejected) = data.pointer("/ingestMetrics/rejected").filter(|rejected| **rejected != json!([])) {
                problems.push(format!("{name}: {rejected}"));
            }
        }
    }
    assert_eq!(problems, Vec::<String>::new());
}
