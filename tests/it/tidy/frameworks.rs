//! Foreign crates stay in the rooms that translate them.

use super::{
    finding::{Finding, assert_found, assert_kept},
    source::{self, Source},
};

/// The modules that may name a crate.
enum Places {
    Only(&'static [&'static str]),
    /// Nowhere in the first, except for the second.
    Never(&'static [&'static str], &'static [&'static str]),
}

impl Places {
    fn allow(&self, source: &Source) -> bool {
        match self {
            Self::Only(places) => source.is_within_any(places),
            Self::Never(places, except) => source.is_within_any(except) || !source.is_within_any(places),
        }
    }

    fn describe(&self) -> String {
        match self {
            Self::Only(places) => format!("only {} may", places.join(", ")),
            Self::Never(places, _) => format!("{} may not", places.join(", ")),
        }
    }

    fn all(&self) -> impl Iterator<Item = &&'static str> {
        let (Self::Only(places) | Self::Never(places, _)) = self;
        let except: &[&str] = if let Self::Never(_, except) = self { except } else { &[] };
        places.iter().chain(except)
    }
}

struct Framework {
    name: &'static str,
    places: Places,
    fix: &'static str,
}

/// Ids and times may derive what an entity needs to hold them.
const NO_DATABASE: Places = Places::Never(
    &["src/http", "src/engine", "src/graphql", "src/auth", "src/model", "src/config", "src/clock", "src/error"],
    &["src/model/id", "src/model/timestamp"],
);

const FRAMEWORKS: &[Framework] = &[
    Framework {
        name: "async_graphql",
        places: Places::Only(&[
            "src/engine",
            "src/graphql",
            "src/http/graphql",
            "src/http/websocket",
            "src/http/streams",
            "src/http/request_body",
            "src/app",
        ]),
        fix: "return a model type and translate it in graphql/",
    },
    Framework {
        name: "async_graphql_axum",
        places: Places::Only(&["src/http/graphql", "src/http/websocket", "src/http/request_body"]),
        fix: "keep the protocol in http/",
    },
    Framework {
        name: "axum",
        places: Places::Only(&["src/http", "src/app", "src/cli"]),
        fix: "keep the protocol in http/; return error::Error and let http/ make a response of it",
    },
    Framework { name: "sea_orm", places: NO_DATABASE, fix: "ask a room; put conversions of its errors into db/" },
    Framework { name: "sqlx", places: NO_DATABASE, fix: "ask a room; put conversions of its errors into db/" },
    Framework {
        name: "dataloader",
        places: Places::Only(&["src/engine/loader"]),
        fix: "load through engine/loader, which alone knows the library",
    },
    Framework { name: "redis", places: Places::Only(&["src/live/bus/redis"]), fix: "tell others through live/bus" },
    Framework { name: "toml", places: Places::Only(&["src/config"]), fix: "read settings from config" },
];

fn named(source: &Source, frameworks: &[Framework]) -> Vec<Finding> {
    let mut found = Vec::new();
    for framework in frameworks.iter().filter(|framework| !framework.places.allow(source)) {
        for path in source.names().filter(|path| path.names[0] == framework.name) {
            let rule = format!("`{}` is named here, but {}", framework.name, framework.places.describe());
            found.push(Finding::new(&source.path, path.line, rule, framework.fix));
        }
    }
    found
}

#[test]
fn frameworks_stay_in_their_rooms() {
    assert_kept(source::product().flat_map(|source| named(source, FRAMEWORKS)));
    for place in FRAMEWORKS.iter().flat_map(|framework| framework.places.all()) {
        assert!(
            source::sources().iter().any(|source| source.is_within(place)),
            "FRAMEWORKS names {place}, which is gone"
        );
    }
}

mod planted {
    use super::*;

    #[test]
    fn a_framework_in_the_wrong_room() {
        let check = |path, raw| named(&Source::new(path, raw), FRAMEWORKS);
        assert_found(&check("src/reports/slowest.rs", "use async_graphql::SimpleObject;"), 1, "async_graphql");
        assert_found(&check("src/error.rs", "impl ::axum::response::IntoResponse for X {}"), 1, "axum");
        assert_found(&check("src/graphql/query.rs", "#[derive(sea_orm::FromQueryResult)] struct X;"), 1, "sea_orm");
        assert_found(&check("src/auth/scope.rs", "\n\nuse {sqlx::Row};"), 3, "sqlx");
        assert_found(&check("src/model/sketch.rs", "use sea_orm::Value;"), 1, "sea_orm");
        assert_found(&check("src/graphql/query.rs", "use dataloader::cached::Loader;"), 1, "dataloader");
        assert_found(&check("src/cli/serve.rs", "use toml::Table;"), 1, "toml");
        assert_kept(check("src/engine/loader.rs", "use dataloader::cached::Loader; use async_graphql::ID;"));
        assert_kept(check("src/model/id.rs", "#[derive(sea_orm::DeriveValueType)] struct Id(i64);"));
        assert_kept(check("src/http/router.rs", "use axum::Router; fn f() { let axum = 1; }"));
    }
}
