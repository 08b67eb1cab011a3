//! The measurement of all questions, and the table of its figures.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    Outcome, client,
    questions::{self, Question},
    round::{self, Expect, Figures, Load},
    same,
    server::Server,
    world::World,
};

const CONNECTIONS: usize = 32;
/// Rounds of each server, in turns; their medians count.
const ROUNDS: usize = 3;
/// In the answer of a server that has no room for a request.
const REFUSED: &str = "HTTP/1.1 503";
/// A round is counted in time.
const REQUESTS: usize = 10_000_000;

/// A question and its figures.
struct Line {
    question: Question,
    ours: Figures,
    plain: Figures,
    textbook: Option<Figures>,
}

/// Asks every server everything, or these questions, and prints.
pub async fn measure(world: &World, round: Duration, only: &[String]) -> Outcome<()> {
    let mut lines = Vec::new();
    for ask_for in [questions::reads, questions::writes] {
        let is_asked = |question: &Question| only.is_empty() || only.iter().any(|name| name == question.name);
        for question in ask_for(world).into_iter().filter(is_asked) {
            let line = ask(world, question, round).await?;
            eprintln!("compare: {} {} {:.2}", world.shape, line.question.name, line.ratio());
            lines.push(line);
        }
    }
    print(world, &lines)
}

async fn ask(world: &World, question: Question, duration: Duration) -> Outcome<Line> {
    if question.written.is_none() {
        compare(world, &question).await?;
    }
    let mut sides: Vec<(&Server, &[Vec<u8>])> =
        vec![(&world.perfgraph, &question.ours), (&world.plain, &question.plain)];
    sides.extend(question.textbook.as_ref().map(|requests| (&world.textbook, requests.as_slice())));
    let mut rounds = vec![Vec::new(); sides.len()];
    let mut has_refused = vec![false; sides.len()];
    for number in 0..=ROUNDS {
        for (place, ((server, requests), rounds)) in sides.iter().zip(&mut rounds).enumerate() {
            let expect = match (&question.written, requests.first()) {
                (Some(expected), _) => expected[place],
                (None, Some(request)) => {
                    Expect::Bytes(client::Connection::open(server.address).await?.send(request).await?.len())
                }
                (None, None) => return Err("a question without words".into()),
            };
            let limit = if number == 0 { duration / 4 } else { duration };
            let load = Load { requests: REQUESTS, limit, connections: CONNECTIONS };
            let name = ["perfgraph", "plain", "textbook"][place];
            match round::run(server, Some(world.postmaster), requests, expect, load).await {
                Ok((figures, _)) if number > 0 => rounds.push(figures),
                Ok(_) => {}
                Err(error) if error.to_string().contains(REFUSED) => {
                    has_refused[place] = true;
                    eprintln!("compare: {} {} is refused by {name}", world.shape, question.name);
                }
                Err(error) => return Err(format!("{} of {name}: {error}", question.name).into()),
            }
        }
    }
    // The other rounds of a server that refuses would be those with the easier moments.
    for (rounds, _) in rounds.iter_mut().zip(has_refused).filter(|(_, has_refused)| *has_refused) {
        rounds.clear();
    }
    let mut medians = rounds.iter().map(|rounds| round::median(rounds));
    let (Some(ours), Some(plain), textbook) = (medians.next(), medians.next(), medians.next()) else {
        return Err("a question without rounds".into());
    };
    Ok(Line { question, ours, plain, textbook })
}

/// A fast wrong answer is no answer. That of the textbook server, whose schema is another, must not be an error or empty.
async fn compare(world: &World, question: &Question) -> Outcome<()> {
    let ask = async |server: &Server, requests: &[Vec<u8>]| -> Outcome<Value> {
        client::ask(server.address, requests.first().ok_or("a question without words")?).await
    };
    let (ours, plain) = (ask(&world.perfgraph, &question.ours).await?, ask(&world.plain, &question.plain).await?);
    let agree =
        if question.is_ranked_by_estimates { rank_alike(&ours, &plain) } else { same::same(&ours, &plain, false) };
    if !agree {
        return Err(format!("{}: the answers differ:\n{ours}\n{plain}", question.name).into());
    }
    if let Some(requests) = &question.textbook {
        let answer = ask(&world.textbook, requests).await?;
        let is_empty = answer["data"]
            .as_object()
            .is_none_or(|data| data.values().any(|value| value == &json!([]) || value.is_null()));
        if answer.get("errors").is_some() || is_empty {
            return Err(format!("{}: the textbook server failed: {answer}", question.name).into());
        }
    }
    Ok(())
}

/// True when both rankings have the same values in each place, within the error of both estimates, and agree about each endpoint
/// that is in both: most of them.
fn rank_alike(ours: &Value, plain: &Value) -> bool {
    const TOLERANCE: f64 = 0.021;
    let endpoints = |answer: &Value| answer["data"]["slowestEndpoints"].as_array().cloned().unwrap_or_default();
    let (ours, plain) = (endpoints(ours), endpoints(plain));
    let value = |endpoint: &Value| endpoint["stats"]["p95"].as_f64().unwrap_or(f64::NAN);
    let is_near = |(ours, plain): (&Value, &Value)| (value(ours) - value(plain)).abs() <= TOLERANCE * value(plain);
    let is_same =
        |ours: &&Value, plain: &&Value| ours["endpoint"] == plain["endpoint"] && ours["project"] == plain["project"];
    let pairs: Vec<_> =
        ours.iter().filter_map(|one| Some((one, plain.iter().find(|other| is_same(&one, other))?))).collect();
    !ours.is_empty()
        && ours.len() == plain.len()
        && ours.iter().zip(&plain).all(is_near)
        && pairs.len() * 2 >= ours.len()
        && pairs.iter().all(|(ours, plain)| same::same(ours, plain, false))
}

impl Line {
    /// CPU of perfgraph for that of the plain endpoint.
    fn ratio(&self) -> f64 {
        self.ours.cpu_micros / self.plain.cpu_micros
    }

    fn database_ratio(&self) -> f64 {
        let micros = |figures: &Figures| figures.database_micros.unwrap_or(f64::NAN);
        micros(&self.ours) / micros(&self.plain)
    }

    /// `*` where perfgraph misses the goal.
    fn mark(value: f64, goal: f64) -> char {
        if value <= goal { ' ' } else { '*' }
    }
}

fn print(world: &World, lines: &[Line]) -> Outcome<()> {
    println!(
        "\n{}: CPU in microseconds a request, of the server / of the database; ratios to the plain endpoint, * above the goal",
        world.shape
    );
    println!(
        "{:<4} {:<32} {:>17} {:>17} {:>17} {:>14} {:>14}",
        "", "", "perfgraph", "plain", "textbook", "server", "database"
    );
    for line in lines {
        let side = |figures: &Figures| {
            if figures.cpu_micros.is_nan() {
                return "refused".to_owned();
            }
            format!("{:.0} / {:.0}", figures.cpu_micros, figures.database_micros.unwrap_or(f64::NAN))
        };
        let (goal, database_goal) = line.question.goal;
        let (ratio, database) = (line.ratio(), line.database_ratio());
        let database_goal = database_goal.map_or_else(
            || format!("{database:.2}     "),
            |goal| format!("{database:.2}{} <={goal:.2}", Line::mark(database, goal)),
        );
        println!(
            "{:<4} {:<32} {:>17} {:>17} {:>17} {:>14} {:>14}",
            line.question.name,
            line.question.what,
            side(&line.ours),
            side(&line.plain),
            line.textbook.as_ref().map_or_else(|| "-".to_owned(), side),
            format!("{ratio:.2}{} <={goal:.2}", Line::mark(ratio, goal)),
            database_goal,
        );
    }
    let memory = world.perfgraph.memory()?;
    println!("memory of perfgraph: {} MiB, at its worst {} MiB", memory.resident / 1_024, memory.peak / 1_024);
    for line in lines {
        let side = |figures: &Figures| {
            json!({
                "requests_per_second": figures.requests_per_second.round(), "cpu_us": figures.cpu_micros.round(),
                "database_cpu_us": figures.database_micros.map(f64::round),
            })
        };
        println!(
            "{}",
            json!({
                "shape": world.shape.to_string(), "question": line.question.name, "perfgraph": side(&line.ours),
                "plain": side(&line.plain), "textbook": line.textbook.as_ref().map(side), "ratio": line.ratio(),
                "database_ratio": line.database_ratio(),
            })
        );
    }
    Ok(())
}
