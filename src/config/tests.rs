//! Precedence of the sources, reports of mistakes, and secrecy of passwords.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::{Config, ConfigError, DatabaseUrl, LogFormat, Overrides};

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn read(toml: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_sources(Some(toml), &variables(environment), &Overrides::default())
}

fn problems(toml: &str, environment: &[(&str, &str)]) -> Vec<String> {
    read(toml, environment).unwrap_err().problems().iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(read("", &[]).unwrap(), Config::default());
    assert_eq!(Config::default().check(), []);
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let toml = "[server]\nlisten = '127.0.0.1:1'\nnode = 7\n[database]\nurl = 'sqlite://file'\n[log]\nformat = 'json'";
    let listen = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));

    let config = read(toml, &[]).unwrap();
    assert_eq!((config.server.listen, config.server.node), (listen(1), Some(7)));
    assert_eq!((config.database.url.reveal(), config.log.format), ("sqlite://file", LogFormat::Json));

    let mut environment = vec![("PERFGRAPH_SERVER__LISTEN", "localhost:2"), ("DATABASE_URL", "sqlite://customary")];
    let config = read(toml, &environment).unwrap();
    assert_eq!((config.server.listen, config.server.node), (listen(2), Some(7)));
    assert_eq!(config.database.url.reveal(), "sqlite://customary");

    environment.insert(0, ("PERFGRAPH_DATABASE__URL", "sqlite://prefixed"));
    assert_eq!(read(toml, &environment).unwrap().database.url.reveal(), "sqlite://prefixed");

    let overrides =
        Overrides { listen: Some("[::1]:3".into()), database_url: Some("sqlite://flag".into()), demo: None };
    let config = Config::from_sources(Some(toml), &variables(&environment), &overrides).unwrap();
    assert_eq!(config.server.listen.to_string(), "[::1]:3");
    assert_eq!(config.database.url.reveal(), "sqlite://flag");
}

#[test]
fn every_type_of_setting_can_come_from_the_environment() {
    let config = read(
        "",
        &[
            ("PERFGRAPH_LIMITS__COST_MAX", "77"),
            ("PERFGRAPH_SELF_MONITORING__ENABLED", "false"),
            ("PERFGRAPH_SERVER__NODE", "255"),
            ("PERFGRAPH_LOG__FILTER", "1"),
            ("PERFGRAPH_LOG__FORMAT", ""),
            ("HOME", "irrelevant"),
        ],
    );
    let config = config.unwrap();
    assert_eq!((config.limits.cost_max, config.self_monitoring.enabled), (77, false));
    assert_eq!((config.server.node, config.log.filter.as_str()), (Some(255), "1"));
    assert_eq!(config.log.format, LogFormat::Text, "an empty variable is not set");
}

#[test]
fn an_unknown_key_suggests_the_most_similar_one() {
    assert_eq!(
        problems("[server]\nlisen = 1", &[]),
        ["unknown key `server.lisen` in perfgraph.toml: did you mean `server.listen`?"]
    );
    assert_eq!(
        problems("page_size_max = 1\n[sever]\nnode = 1\n[limits.deep]\nx = 1\n[zzz]", &[("PERFGRAPH_LISTEN", "x")]),
        [
            "unknown key `limits.deep` in perfgraph.toml: `perfgraph config print` lists all keys",
            "unknown key `page_size_max` in perfgraph.toml: did you mean `limits.page_size_max`?",
            "unknown key `sever.node` in perfgraph.toml: did you mean `server.node`?",
            "unknown key `zzz` in perfgraph.toml: `perfgraph config print` lists all keys",
            "unknown key PERFGRAPH_LISTEN in the environment: did you mean PERFGRAPH_SERVER__LISTEN?",
        ]
    );
}

#[test]
fn a_wrong_type_names_the_key_and_the_accepted_values() {
    let toml = "log = 1\n[server]\nlisten = ':8000'\nnode = 256\ndrain_timeout_ms = 1.5\n\
                request_timeout_ms = '5'\n[graphql]\ngraphiql = [1]\n\
                [database]\nurl = {a = 'hunter2'}\nread_connections = -1";
    let environment = [("PERFGRAPH_LIMITS__DEPTH_MAX", "many"), ("PERFGRAPH_LOG__FORMAT", "xml")];
    assert_eq!(
        problems(toml, &environment),
        [
            "`log` in perfgraph.toml is a section: write [log] once, followed by its keys",
            "`database.read_connections` in perfgraph.toml must be a whole number from 0 to 4294967295, not -1",
            "`database.url` in perfgraph.toml must be a database URL in quotes",
            "`graphql.graphiql` in perfgraph.toml must be true or false, not a list",
            "`server.drain_timeout_ms` in perfgraph.toml must be a whole number, 0 or larger, not 1.5",
            "`server.listen` in perfgraph.toml must be an IP address and a port, like 127.0.0.1:8000, [::1]:8000 or \
             localhost:8000 (other names are not looked up), not \":8000\"",
            "`server.node` in perfgraph.toml must be a whole number from 0 to 255, not 256",
            "`server.request_timeout_ms` in perfgraph.toml must be a whole number, 0 or larger, not \"5\"",
            "PERFGRAPH_LIMITS__DEPTH_MAX must be a whole number, 0 or larger, not \"many\"",
            "PERFGRAPH_LOG__FORMAT must be \"text\" or \"json\", not \"xml\"",
        ]
    );
}

#[test]
fn all_problems_are_reported_together_with_their_sources() {
    let toml = "[limits]\npage_size_default = 200\ningest_rows_max = 16385\ndepth_max = 0\n\
                [database]\nurl = 'mysql://me:hunter2@host/db'\nacquire_timeout_ms = 90000000";
    let environment = [("PERFGRAPH_SERVER__LISTEN", "0.0.0.0:8000"), ("PERFGRAPH_GRAPHQL__INTROSPECTION", "false")];
    assert_eq!(
        problems(toml, &environment),
        [
            "database.acquire_timeout_ms is 90000000; the maximum is 86400000 (a day) (set by \
             `database.acquire_timeout_ms` in perfgraph.toml)",
            "limits.depth_max is 0; the minimum is 1 (set by `limits.depth_max` in perfgraph.toml)",
            "server.listen is 0.0.0.0:8000, which other machines can reach. There is no authentication yet, so anyone \
             could read and write all data. Listen on 127.0.0.1:8000, behind a reverse proxy that authenticates if others \
             need access (set by PERFGRAPH_SERVER__LISTEN)",
            "database.url must begin with sqlite:// or postgres:// (or postgresql://), not mysql: (set by \
             `database.url` in perfgraph.toml)",
            "limits.ingest_rows_max is 16385; the maximum is 16384, because the rows of one call share a range of ids \
             (set by `limits.ingest_rows_max` in perfgraph.toml)",
            "limits.page_size_default is 200, more than limits.page_size_max, which is 100: a list without a size would \
             be refused. Lower it, or raise limits.page_size_max (set by `limits.page_size_default` in perfgraph.toml)",
            "database.acquire_timeout_ms is 90000000, more than server.request_timeout_ms, which is 10000: a request \
             would time out before its wait for a connection. Lower it, or raise server.request_timeout_ms (set by \
             `database.acquire_timeout_ms` in perfgraph.toml)",
            "graphql.graphiql is true, but graphql.introspection is false, and GraphiQL reads the schema. Set both to \
             true, or both to false (set by PERFGRAPH_GRAPHQL__INTROSPECTION)",
        ]
    );
}

#[test]
fn json_nests_no_deeper_than_its_reader_follows() {
    assert_eq!(read("limits.request_depth_max = 127", &[]).unwrap().limits.request_depth_max, 127);
    let problems = problems("limits.request_depth_max = 128", &[]);
    assert!(problems[0].starts_with("limits.request_depth_max is 128; the maximum is 127, because"), "{problems:?}");
}

#[test]
fn rollups_have_a_maximum_and_minutes_may_be_kept_for_less_than_raw_rows() {
    assert_eq!(read("ingest.rollup_rows_percent = 1000000", &[]).unwrap().ingest.rollup_rows_percent, 1_000_000);
    let too_many = problems("ingest.rollup_rows_percent = 1000001", &[]);
    assert!(too_many[0].starts_with("ingest.rollup_rows_percent is 1000001; the maximum is 1000000"), "{too_many:?}");
    read("[retention]\nraw_days = 9\nminute_days = 3", &[]).unwrap();
    let too_long = problems("[retention]\nraw_days = 9\nhour_days = 8\nminute_days = 3", &[]);
    assert!(
        too_long[0].starts_with("retention.raw_days is 9, more than retention.hour_days, which is 8"),
        "{too_long:?}"
    );
}

#[test]
fn origins_are_lists_of_origins_without_paths() {
    let config = read("[server]\npublic_origins = ['https://Perf.example.com:443', 'http://a:1']", &[]).unwrap();
    let texts: Vec<_> = config.server.public_origins.iter().map(super::Origin::as_str).collect();
    assert_eq!(texts, ["https://perf.example.com", "http://a:1"]);
    let config = read("", &[("PERFGRAPH_SERVER__CORS_ORIGINS", "https://a, https://b")]).unwrap();
    assert_eq!(config.server.cors_origins.len(), 2);
    let config = read("[server]\ncors_headers = ['X-Tenant', 'x-b3_id']", &[]).unwrap();
    assert_eq!(
        config.server.cors_headers.iter().map(super::HeaderName::as_str).collect::<Vec<_>>(),
        ["x-tenant", "x-b3_id"]
    );
    let config = read("", &[("PERFGRAPH_SERVER__CORS_HEADERS", "x-a, X-B")]).unwrap();
    assert_eq!(config.server.cors_headers.len(), 2);
    for wrong in ["'x-a'", "['*']", "['x a']", "['']", "[1]"] {
        let problems = problems(&format!("[server]\ncors_headers = {wrong}"), &[]);
        assert!(problems[0].contains("must be a list of names of headers"), "{problems:?}");
    }
    for wrong in ["'https://a'", "['*']", "['https://a/b']", "[1]"] {
        let problems = problems(&format!("[server]\ncors_origins = {wrong}"), &[]);
        assert!(problems[0].contains("must be a list of origins"), "{problems:?}");
    }
    let problems = problems("[server]\ncors_credentials = true\n[limits]\nheader_bytes_max = 100", &[]);
    assert!(problems[0].contains("the minimum is 8192") && problems[1].contains("server.cors_origins"), "{problems:?}");
}

#[test]
fn only_loopback_addresses_are_accepted() {
    for (listen, accepted) in [
        ("127.0.0.1:0", true),
        ("127.9.9.9:80", true),
        ("[::1]:80", true),
        ("[::ffff:127.0.0.1]:80", true),
        ("[::]:80", false),
        ("192.0.2.1:80", false),
    ] {
        assert_eq!(read("", &[("PERFGRAPH_SERVER__LISTEN", listen)]).is_ok(), accepted, "{listen}");
    }
}

#[test]
fn unusable_database_urls_are_refused() {
    for (url, accepted) in [
        ("sqlite://a.sqlite", true),
        ("sqlite:a.sqlite?mode=rwc", true),
        ("postgres://host/db", true),
        ("postgresql:///db?host=/run", true),
        ("sqlite://", false),
        ("sqlite::memory:", false),
        ("sqlite://a?mode=memory", false),
        ("postgres:host", false),
        ("perfgraph.sqlite", false),
        ("host=localhost password=hunter2", false),
    ] {
        let read = read("", &[("DATABASE_URL", url)]);
        assert_eq!(read.is_ok(), accepted, "{url}");
        assert!(read.is_ok() || !format!("{:?}", read.unwrap_err()).contains("hunter2"), "{url}");
    }
}

#[test]
fn a_secret_can_come_from_a_file_but_not_also_from_a_variable() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    fs::write(&path, "postgres://user:hunter2@host/db\n").unwrap();
    let path = path.to_str().unwrap();

    for name in ["PERFGRAPH_DATABASE__URL_FILE", "DATABASE_URL_FILE"] {
        let config = read("", &[(name, path)]).unwrap();
        assert_eq!(config.database.url.reveal(), "postgres://user:hunter2@host/db");
    }
    assert_eq!(
        problems("", &[("DATABASE_URL", "sqlite://a"), ("DATABASE_URL_FILE", path)]),
        ["DATABASE_URL and DATABASE_URL_FILE are both set: keep one of them"]
    );
    let absent = problems("", &[("DATABASE_URL_FILE", "absent")]);
    assert!(absent[0].starts_with("cannot read absent, the file that DATABASE_URL_FILE names: "), "{absent:?}");
    let unknown = problems("", &[("PERFGRAPH_LOG__FILTER_FILE", path)]);
    assert!(unknown[0].starts_with("unknown key PERFGRAPH_LOG__FILTER_FILE"), "only secrets come from files");
}

#[test]
fn no_output_contains_a_secret() {
    let url = "postgres://user:hunter2@host/db";
    let config = read("", &[("DATABASE_URL", url)]).unwrap();
    let overrides = Overrides { database_url: Some(DatabaseUrl::from(url)), ..Overrides::default() };
    for shown in [format!("{config:?}"), format!("{overrides:?}")] {
        assert!(shown.contains("postgres://user:***@host/db") && !shown.contains("hunter2"), "{shown}");
    }

    let broken = problems("[log]\n[database]\nurl = \"postgres://user:hunter2@host/db", &[]);
    assert!(broken[0].starts_with("perfgraph.toml, line 3, is not valid TOML: "), "{broken:?}");
    assert!(!broken[0].contains("hunter2"), "{broken:?}");
}

#[test]
fn service_variables_of_kubernetes_are_ignored() {
    let links = [
        ("PERFGRAPH_SERVICE_HOST", "192.0.2.1"),
        ("PERFGRAPH_SERVICE_PORT_HTTP", "8000"),
        ("PERFGRAPH_PORT", "tcp://192.0.2.1:8000"),
        ("PERFGRAPH_PORT_8000_TCP_ADDR", "192.0.2.1"),
    ];
    assert_eq!(read("", &links).unwrap(), Config::default());
    assert!(read("", &[("PERFGRAPH_PORT", "8000")]).is_err(), "a plain port is a misspelt key");
}

#[test]
fn a_named_file_must_exist() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.toml");
    let error = Config::load(Some(&absent), &Overrides::default()).unwrap_err();
    assert!(error.to_string().contains("cannot read the configuration file"), "{error}");

    let present = folder.path().join("present.toml");
    fs::write(&present, "[limits]\ndepth = 1").unwrap();
    let error = Config::load(Some(Path::new(&present)), &Overrides::default()).unwrap_err().to_string();
    assert!(error.contains("present.toml") && error.contains("did you mean `limits.depth_max`?"), "{error}");
}

#[test]
fn the_default_file_contains_the_defaults() {
    let text = Config::default_toml();
    assert_eq!(read(&text, &[]).unwrap(), Config::default());

    let with_node = text.replace("# node = 1", "node = 1");
    assert_eq!(read(&with_node, &[]).unwrap().server.node, Some(1), "an unset key is commented out");

    let lines: Vec<_> = text.lines().collect();
    for key in Config::default().keys() {
        let at = lines.iter().position(|line| **line == key.toml).unwrap();
        assert!(lines[at - 1].starts_with("# "), "{} has no comment", key.path);
    }
}

#[test]
fn a_pooler_needs_the_address_of_the_server() {
    let of_postgres = [("DATABASE_URL", "postgres://a@pooler/b")];
    let pooled = "[database]\ntransaction_pooling = true\n";
    let direct = "direct_url = 'postgres://a@server/b'\n";
    for (text, environment, expected) in [
        (pooled.to_owned(), &of_postgres[..], "set database.direct_url to the address of the PostgreSQL server itself"),
        (format!("{pooled}direct_url = 'sqlite://x'"), &of_postgres[..], "set database.direct_url"),
        (format!("{pooled}{direct}"), &[][..], "database.url is an SQLite file"),
        (format!("[database]\n{direct}"), &of_postgres[..], "database.transaction_pooling is false"),
    ] {
        let found = problems(&text, environment);
        assert!(found.len() == 1 && found[0].contains(expected), "{found:?}");
    }
    let config = read(&format!("{pooled}{direct}"), &of_postgres).unwrap();
    assert_eq!(config.database.direct().reveal(), "postgres://a@server/b");
    assert_eq!(read("", &of_postgres).unwrap().database.direct().reveal(), "postgres://a@pooler/b");
}

#[test]
fn every_setting_can_be_changed() {
    for key in Config::default().keys() {
        let (section, _) = key.path.split_once('.').unwrap();
        let line = key.toml.trim_start_matches("# ");
        let changed = match line.split_once(" = ").unwrap() {
            (name, "true") => format!("{name} = false"),
            (name, "false") => format!("{name} = true"),
            (name @ "cors_headers", "[]") => format!("{name} = ['x-tenant']"),
            (name, "[]") => format!("{name} = ['https://example.com']"),
            (name, "\"text\"") => format!("{name} = 'json'"),
            (name, "\"127.0.0.1:8000\"") => format!("{name} = '127.0.0.1:9'"),
            (name, "\"sqlite://perfgraph.sqlite\"") => format!("{name} = 'sqlite://other'"),
            (name @ "demo", "\"auto\"") => format!("{name} = 'on'"),
            (name, "\"auto\"") => format!("{name} = 'redis'"),
            (name, "\"off\"") => format!("{name} = 'learn'"),
            (name, "\"\"") => format!("{name} = 'something'"),
            (name, text) if text.starts_with("\"info") => format!("{name} = 'debug'"),
            (name, number) => format!("{name} = {}", number.parse::<u64>().unwrap() + 1),
        };
        let mut config = Config::default();
        let given = super::file::given("f", &format!("[{section}]\n{changed}"), &config.keys(), &mut Vec::new());
        for one in &given {
            config.set(one, &[]).unwrap();
        }
        assert_ne!(config, Config::default(), "{changed}");
    }
}
