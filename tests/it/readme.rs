//! Every `sh` block of README.md is run, in order, in one folder with a live server: what the README tells a reader to
//! type works. A new block is run without a change here.
//!
//! The blocks run as they are, in bash, but for addresses: the default port, the placeholder of a project and the
//! PostgreSQL of the example are replaced. `make` and `cargo` stand for minutes of building, so they are replaced by
//! programs that check that the command exists (see [`STAND_INS`]).

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::{process::Command, time::timeout};

use crate::harness::{
    TestDatabase,
    process::{PATIENCE, run_within},
    server::{client, repository},
    wait,
};

/// Blocks that are not run: a part of the block, and the reason.
const NOT_RUN: &[(&str, &str)] = &[];

/// Parts of commands that go on until they are interrupted. Their block ends when the text has come.
const ENDLESS: &[(&str, &str)] = &[
    ("curl -N", "metricStream"),
    ("perfgraph tail", "  API_RESPONSE  "),
    ("perfgraph watch", "\tGET /orders"),
    ("perfgraph serve", "serves on http://"),
];

/// Parts of blocks, and what the README promises about the output of such a block.
const PROMISES: &[(&str, &[&str])] = &[
    ("slowestEndpoints(first: 3)", &["\"endpoint\"", "\"value\"", "\"owners\""]),
    ("ingestMetrics(", &["\"accepted\":1", "\"isDuplicate\":false", "\"index\":1"]),
    ("second-try", &["\"accepted\":2"]),
    ("slowestEndpoints(first: 1)", &["GET /orders/:id", "\"owners\":[]", "\"way\":\"INGEST_API\"", "\"accepted\":200"]),
];

/// Programs that take minutes, and what is checked in their place: the target of make exists, and cargo builds the binary that
/// this test already has.
const STAND_INS: &[(&str, &str)] = &[
    ("make", "exec \"$REAL_MAKE\" --dry-run --directory=\"$REPOSITORY\" \"$@\" >/dev/null"),
    ("cargo", "case \"$*\" in 'build --release' | 'run --release') ;; *) exit 1 ;; esac"),
];

/// Starts and stops the server in the current folder, for the comments that ask the reader to.
const PRELUDE: &str = r#"
set -euo pipefail
stop_server() {
    kill -s TERM "$(cat server.pid)"
    # A process that nobody has asked about yet still has its number, but no program.
    while [ -n "$(readlink "/proc/$(cat server.pid)/exe")" ]; do sleep 0.05; done
}
start_server() {
    perfgraph serve --listen "127.0.0.1:$PORT" >/dev/null 2>server.log & echo $! >server.pid
    curl -sf --retry 600 --retry-connrefused --retry-delay 0 "http://127.0.0.1:$PORT/readyz" >/dev/null
}
keep_variables() {
    for name in $(compgen -v); do
        case " $before $kept " in *" $name "*) ;; *) declare -p "$name" ;; esac
    done >variables
}
# What a block sets is there in the next one, as in one terminal; but not the database of another server.
kept="before name kept DATABASE_URL FUNCNAME PIPESTATUS _"
before=$(compgen -v | tr '\n' ' ')
if [ -f variables ]; then source variables; fi
trap keep_variables EXIT
"#;

/// The blocks of a Markdown text that are marked as `sh`.
fn blocks(markdown: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in markdown.lines() {
        match &mut open {
            Some(block) if line.trim_end() == "```" => {
                blocks.push(std::mem::take(block));
                open = None;
            }
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
            None if ["```sh", "```bash", "```shell", "```console"].contains(&line.trim_end()) => {
                open = Some(String::new());
            }
            None => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// A folder that looks to the commands like a checkout with a release build.
struct Reader {
    folder: tempfile::TempDir,
    port: u16,
    postgres: TestDatabase,
}

impl Reader {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("bin");
        fs::create_dir(&programs).unwrap();
        for (name, script) in STAND_INS {
            let file = programs.join(name);
            fs::write(&file, format!("#!/bin/bash\n{script}\n")).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(env!("CARGO_BIN_EXE_perfgraph"), programs.join("perfgraph")).unwrap();
        for profile in ["release", "quick", "debug"] {
            let target = folder.path().join("target").join(profile);
            fs::create_dir_all(&target).unwrap();
            symlink(env!("CARGO_BIN_EXE_perfgraph"), target.join("perfgraph")).unwrap();
        }
        for name in ["tests", "schema.graphql", "postman", "seed"] {
            symlink(repository(name), folder.path().join(name)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        Self { folder, port, postgres: TestDatabase::unmigrated_postgres().await }
    }

    /// The block with the addresses of this test.
    async fn adapted(&self, block: &str) -> String {
        let mut text = block.replace("127.0.0.1:8000", &format!("127.0.0.1:{}", self.port));
        text = text.replace("localhost:8000", &format!("127.0.0.1:{}", self.port));
        for command in ["perfgraph projects", "perfgraph tail", "perfgraph watch"] {
            text = text.replace(command, &format!("{command} --url http://127.0.0.1:{}", self.port));
        }
        let words = text.split_inclusive(char::is_whitespace).map(|word| match word.find("postgres://") {
            Some(place) => {
                let end = word.trim_end_matches(|end: char| end.is_whitespace() || "\"'".contains(end)).len();
                format!("{}$POSTGRES_URL{}", &word[..place], &word[end..])
            }
            None => word.to_owned(),
        });
        let lines: String = words.collect();
        let step = |line: &str| {
            let comment = line.trim_start().strip_prefix('#').unwrap_or_default().to_lowercase();
            match comment {
                _ if comment.contains("stop the server") => "stop_server".to_owned(),
                _ if ["start it again", "start the server"].iter().any(|part| comment.contains(part)) => {
                    "start_server".to_owned()
                }
                _ => line.to_owned(),
            }
        };
        lines.lines().map(step).collect::<Vec<_>>().join("\n")
    }

    fn bash(&self, script: &str) -> Command {
        let path = std::env::var("PATH").unwrap();
        let real_make = std::env::split_paths(&path).map(|folder| folder.join("make")).find(|file| file.exists());
        let mut command = Command::new("bash");
        command.arg("-c").arg(format!("{PRELUDE}\n{script}")).current_dir(self.folder.path());
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        command.env("PATH", format!("{}:{path}", self.folder.path().join("bin").display()));
        command.env("PORT", self.port.to_string()).env("REPOSITORY", repository(""));
        command.env("REAL_MAKE", real_make.expect("make is in PATH")).env("NO_PROXY", "*").env("no_proxy", "*");
        command.env("POSTGRES_URL", &self.postgres.url);
        // Only for blocks that start a server of their own: the first one has a port by its argument.
        command.env("PERFGRAPH_SERVER__LISTEN", "127.0.0.1:0");
        command
    }

    /// Runs a block to its end, or an endless one until it has said what it is to say. Answers its output.
    async fn run(&self, block: &str) -> String {
        let script = self.adapted(block).await;
        let Some((_, until)) = ENDLESS.iter().find(|(command, _)| block.contains(command)) else {
            let ended = run_within(2 * PATIENCE, self.bash(&script)).await;
            assert_eq!(ended.code, Some(0), "{block}\nfailed: {}\n{}", ended.stdout, ended.stderr);
            return ended.stdout;
        };
        let output = self.folder.path().join("output");
        let file = fs::File::create(&output).unwrap();
        let mut command = self.bash(&script);
        command.stdout(file.try_clone().unwrap()).stderr(file).process_group(0);
        let mut child = command.spawn().unwrap();
        let group = Group(child.id().expect("it was just started"));
        let text = wait::until_some(&format!("{until:?} from\n{block}"), async || {
            let text = fs::read_to_string(&output).unwrap();
            let ended = child.try_wait().unwrap();
            assert!(ended.is_none() || text.contains(until), "{block}\nended ({ended:?}): {text}");
            text.contains(until).then_some(text)
        })
        .await;
        group.interrupt().await;
        timeout(PATIENCE, child.wait()).await.expect("the command ends when it is interrupted").unwrap();
        text
    }
}

/// A command and what it started: none of them outlives the test, also when it fails.
struct Group(u32);

impl Group {
    fn signal(&self, name: &str) -> Command {
        let mut command = Command::new("kill");
        command.args(["-s", name, "--", &format!("-{}", self.0)]).stderr(Stdio::null());
        command
    }

    /// Like Ctrl-C.
    async fn interrupt(&self) {
        assert!(self.signal("INT").status().await.unwrap().success());
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.signal("KILL").as_std_mut().status());
    }
}

/// Ends the server also when the test fails.
struct StopAtEnd(PathBuf);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        if let Ok(id) = fs::read_to_string(&self.0) {
            drop(std::process::Command::new("kill").args(["-s", "TERM", id.trim()]).stderr(Stdio::null()).status());
        }
    }
}

fn is_not_run(block: &str) -> bool {
    NOT_RUN.iter().any(|(part, reason)| block.contains(part) && !reason.is_empty())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_of_the_readme_does_what_it_says() {
    let blocks = blocks(&fs::read_to_string(repository("README.md")).unwrap());
    assert!(blocks.len() >= 3, "README.md has hardly any commands: {blocks:?}");
    let reader = Reader::new().await;
    let _stop = StopAtEnd(reader.folder.path().join("server.pid"));
    let started = run_within(PATIENCE, reader.bash("start_server")).await;
    assert_eq!(started.code, Some(0), "{started:?} {}", log(reader.folder.path()));
    for block in blocks.iter().filter(|block| !is_not_run(block)) {
        // What a reader does in another terminal: the server's own measurements are what a stream shows.
        let traffic = async {
            while ["subscription", "perfgraph tail", "perfgraph watch"].iter().any(|part| block.contains(part)) {
                drop(
                    client()
                        .get(format!("http://127.0.0.1:{}/graphql?query={{viewer{{role}}}}", reader.port))
                        .send()
                        .await,
                );
                wait::step().await;
            }
            std::future::pending::<()>().await;
        };
        let output = tokio::select! {
            output = reader.run(block) => output,
            () = traffic => unreachable!("it never ends"),
        };
        assert!(!output.contains("\"errors\":[{"), "{block}\nanswered: {output}");
        assert!(!block.contains("curl") || !output.trim().is_empty(), "{block}\nanswered nothing");
        for (part, promised) in PROMISES.iter().filter(|(part, _)| block.contains(part)) {
            for text in *promised {
                assert!(output.contains(text), "{block}\n({part}) promises {text}, but printed: {output}");
            }
        }
    }
    let stopped = run_within(PATIENCE, reader.bash("stop_server")).await;
    assert_eq!(stopped.code, Some(0), "{stopped:?}");
}

fn log(folder: &Path) -> String {
    fs::read_to_string(folder.join("server.log")).unwrap_or_default()
}

#[test]
fn blocks_are_found_by_their_mark() {
    let text = "a\n```sh\nmake run\n```\n```json\n{}\n```\n```sh\none\ntwo\n```\n";
    assert_eq!(blocks(text), ["make run\n", "one\ntwo\n"]);
}
