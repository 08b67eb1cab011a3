//! The table: as wide as the terminal, what matters most first, and nothing that does not fit.

use console::{measure_text_width, truncate_str};

use super::ranking::{Ranking, Row, Trends, statistic};
use crate::{
    cli::arguments::{RankBy, Watch},
    model::timestamp::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, duration_text},
};

/// Columns that the bar of the longest value takes.
const BAR: usize = 12;
/// Columns that a trend takes.
const TREND: usize = 12;
/// Columns that are drawn, the trend and the bar: the last ones.
const DRAWINGS: usize = 2;
/// The title above the names of people.
const OWNERS: &str = "owners";
/// Columns that the name of an endpoint takes at least.
const ENDPOINT_MIN: usize = 12;
/// Columns that it takes before anything is drawn beside the numbers, and before there is room for people.
const ENDPOINT_LEGIBLE: usize = 32;
/// Columns that the names of people take at least, where they are that long.
const OWNERS_MIN: usize = 20;

/// A ranking to be drawn.
pub struct Table<'a> {
    /// The project's name.
    pub project: &'a str,
    /// What is drawn.
    pub ranking: &'a Ranking,
    /// How it has been going.
    pub trends: &'a Trends,
    /// What was asked.
    pub command: &'a Watch,
    /// How far back it looks.
    pub window_micros: i64,
    /// The time of the ranking.
    pub at: &'a str,
}

impl Table<'_> {
    /// The lines of the table, none wider and not more than there is room.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.heading(width)];
        if self.ranking.rows.is_empty() {
            lines.push("nothing was measured in this time".to_owned());
        } else {
            lines.extend(self.rows(width));
        }
        lines.truncate(height.max(1));
        lines.iter().map(|line| truncate_str(line, width, "…").trim_end().to_owned()).collect()
    }

    /// What is shown, as much of it as fits.
    fn heading(&self, width: usize) -> String {
        let which = match self.command.rank_by {
            RankBy::Count => "busiest",
            RankBy::ErrorRate => "most failing",
            _ => "slowest",
        };
        let (project, window) = (self.project, length(self.window_micros));
        let rank_by = statistic(self.command.rank_by).to_lowercase().replace('_', " ");
        let time = self.at.split_once('T').map_or("", |(_, time)| time.get(..8).unwrap_or_default());
        let whole = format!("{project}: {which} endpoints of the last {window} by {rank_by}  {time} UTC");
        if measure_text_width(&whole) <= width {
            return whole;
        }
        format!("{time} {which} by {rank_by}, {window}: {project}")
    }

    fn rows(&self, width: usize) -> Vec<String> {
        let rank_by = self.command.rank_by;
        let top = self.ranking.rows.iter().map(|row| row.value).fold(0.0, f64::max);
        // Dropped from the right as the terminal gets narrower.
        let mut columns: Vec<Column<'_>> = vec![Column::new(&value_title(rank_by), |row| value(rank_by, row.value))];
        if rank_by != RankBy::P95 {
            columns.push(Column::new("p95", |row| milliseconds(row.p95)));
        }
        columns.push(Column::new("rate", |row| rate(row.rate)));
        if rank_by != RankBy::ErrorRate {
            columns.push(Column::new("errors", |row| format!("{:.1} %", row.errors * 100.0)));
        }
        columns.push(Column { width: TREND, ..Column::new("trend", |row| self.trends.of(&row.endpoint)) });
        columns.push(Column { width: BAR, ..Column::new("", move |row| bar(row.value, top)) });
        for column in &mut columns {
            column.fit(&self.ranking.rows);
        }
        let longest = |text: fn(&Row) -> usize, least| self.ranking.rows.iter().map(text).fold(least, usize::max);
        let wanted = longest(|row| measure_text_width(&row.endpoint), ENDPOINT_MIN);
        let taken = |columns: &[Column<'_>]| columns.iter().map(|column| column.width + 2).sum::<usize>();
        // People matter more than drawings, and numbers more than people.
        let legible = wanted.min(ENDPOINT_LEGIBLE);
        let numbers = columns.len() - DRAWINGS;
        let people = longest(|row| measure_text_width(&row.owners.join(", ")), 0);
        // Beside the names that there are, their title.
        let people = if people == 0 { 0 } else { people.clamp(measure_text_width(OWNERS), OWNERS_MIN) + 2 };
        let beside = |people: usize| {
            let fits = |count: &usize| legible + taken(&columns[..*count]) + people <= width;
            (numbers..=columns.len()).rev().find(fits)
        };
        let with_people = if people > 0 { beside(people) } else { None };
        columns.truncate(with_people.or_else(|| beside(0)).unwrap_or(numbers));
        while columns.len() > 1 && ENDPOINT_MIN + taken(&columns) > width {
            columns.pop();
        }
        let reserved = if with_people.is_some() { people } else { 0 };
        let endpoint = wanted.min(width.saturating_sub(taken(&columns) + reserved)).max(ENDPOINT_MIN.min(width));
        let owners = if with_people.is_some() { width.saturating_sub(endpoint + taken(&columns) + 2) } else { 0 };
        let line = |name: &str, cells: Vec<String>, people: &str| {
            let mut line = left(name, endpoint);
            for (cell, column) in cells.iter().zip(&columns) {
                line.push_str("  ");
                line.push_str(&column.aligned(cell));
            }
            if owners > 0 {
                line.push_str("  ");
                line.push_str(people);
            }
            line
        };
        let titles = columns.iter().map(|column| column.title.clone()).collect();
        let mut lines = vec![line("endpoint", titles, OWNERS)];
        for row in &self.ranking.rows {
            let cells = columns.iter().map(|column| (column.cell)(row)).collect();
            lines.push(line(&row.endpoint, cells, &row.owners.join(", ")));
        }
        lines
    }
}

struct Column<'a> {
    title: String,
    width: usize,
    cell: Box<dyn Fn(&Row) -> String + 'a>,
}

impl<'a> Column<'a> {
    fn new(title: &str, cell: impl Fn(&Row) -> String + 'a) -> Self {
        Self { title: title.to_owned(), width: 0, cell: Box::new(cell) }
    }

    fn fit(&mut self, rows: &[Row]) {
        let widest = rows.iter().map(|row| measure_text_width(&(self.cell)(row))).max().unwrap_or(0);
        self.width = self.width.max(widest).max(measure_text_width(&self.title));
    }

    /// Numbers stand at the right, drawings at the left.
    fn aligned(&self, cell: &str) -> String {
        let is_number = cell.chars().next().is_some_and(|first| first.is_ascii_digit());
        let is_title = cell == self.title && !matches!(cell, "" | "trend");
        if is_number || is_title {
            let gap = self.width.saturating_sub(measure_text_width(cell));
            format!("{}{cell}", " ".repeat(gap))
        } else {
            left(cell, self.width)
        }
    }
}

fn left(text: &str, width: usize) -> String {
    let text = truncate_str(text, width, "…");
    let gap = width.saturating_sub(measure_text_width(&text));
    format!("{text}{}", " ".repeat(gap))
}

fn value_title(rank_by: RankBy) -> String {
    match rank_by {
        RankBy::ErrorRate => "failing".to_owned(),
        other => statistic(other).to_lowercase(),
    }
}

fn value(rank_by: RankBy, value: f64) -> String {
    match rank_by {
        RankBy::Count => format!("{value:.0}"),
        RankBy::ErrorRate => format!("{:.1} %", value * 100.0),
        _ => milliseconds(value),
    }
}

fn milliseconds(value: f64) -> String {
    match value {
        value if value >= 10_000.0 => format!("{:.1} s", value / 1_000.0),
        value if value >= 100.0 => format!("{value:.0} ms"),
        value => format!("{value:.1} ms"),
    }
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 0.1 {
        format!("{:.1}/min", per_second * 60.0)
    } else {
        format!("{per_second:.1}/s")
    }
}

/// A length of time as people write it.
fn length(micros: i64) -> String {
    let units = [(HOUR_MICROS, "h"), (MINUTE_MICROS, "min"), (SECOND_MICROS, "s")];
    let whole = units.into_iter().find(|(unit, _)| micros % unit == 0);
    whole.map_or_else(|| duration_text(micros), |(unit, name)| format!("{} {name}", micros / unit))
}

fn bar(value: f64, top: f64) -> String {
    let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
    let length = (share * BAR as f64).round() as usize;
    "█".repeat(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: &str = "2026-11-01T12:00:02.5Z";

    /// A table of five minutes.
    fn shop<'a>(ranking: &'a Ranking, trends: &'a Trends, command: &'a Watch) -> Table<'a> {
        Table { project: "Shop", ranking, trends, command, window_micros: 300_000_000, at: AT }
    }

    fn command(rank_by: RankBy) -> Watch {
        Watch {
            project: "a/b".to_owned(),
            url: String::new(),
            window: "PT5M".to_owned(),
            every: "PT2S".to_owned(),
            rank_by,
            limit: 10,
            once: false,
        }
    }

    fn ranking() -> Ranking {
        let row = |endpoint: &str, value: f64| Row {
            endpoint: endpoint.to_owned(),
            value,
            p95: value,
            rate: 12.5,
            errors: 0.031,
            owners: vec!["Ada Lovelace".to_owned(), "東京 太郎".to_owned()],
        };
        let rows = vec![row("GET /orders/:id/with/a/path/that/is/long", 1_234.0), row("GET /東京", 61.7)];
        Ranking { until: "2026-11-01T12:00:02Z".to_owned(), rows }
    }

    #[test]
    fn no_line_is_wider_than_the_terminal() {
        let mut trends = Trends::default();
        for _ in 0..20 {
            trends.add(&ranking());
        }
        let (ranking, command) = (ranking(), command(RankBy::Count));
        let table = shop(&ranking, &trends, &command);
        for width in 1..200 {
            for line in table.lines(width, 50) {
                assert!(measure_text_width(&line) <= width, "{width}: {line}");
            }
            assert_eq!(table.lines(width, 2).len(), 2);
        }
    }

    #[test]
    fn a_wide_terminal_shows_everything_and_a_narrow_one_what_matters() {
        let (ranking, command, mut trends) = (ranking(), command(RankBy::P95), Trends::default());
        trends.add(&ranking);
        let table = shop(&ranking, &trends, &command);
        let wide = table.lines(140, 50);
        assert_eq!(wide[0], "Shop: slowest endpoints of the last 5 min by p95  12:00:02 UTC");
        assert_eq!(
            wide[2],
            "GET /orders/:id/with/a/path/that/is/long  1234 ms  12.5/s   3.1 %  ▅             ████████████  Ada Lovelace, 東京 太郎"
        );
        assert!(wide[3].starts_with("GET /東京                                 61.7 ms"), "{}", wide[3]);
        let narrow = table.lines(40, 50);
        assert!(
            narrow[2].starts_with("GET /") && narrow[2].contains("1234 ms") && !narrow[2].contains("Ada"),
            "{narrow:?}"
        );
    }

    #[test]
    fn people_stand_before_drawings_and_numbers_before_people() {
        let (ranking, command, mut trends) = (ranking(), command(RankBy::P95), Trends::default());
        trends.add(&ranking);
        let table = shop(&ranking, &trends, &command);
        let shown = |width| {
            let first = table.lines(width, 50).remove(2);
            ["Ada", "▅", "█", "3.1 %"].map(|part| first.contains(part))
        };
        assert_eq!(shown(120), [true, true, true, true]);
        assert_eq!(shown(96), [true, true, false, true]);
        assert_eq!(shown(82), [true, false, false, true]);
        assert_eq!(shown(74), [false, true, false, true]);
        assert_eq!(shown(58), [false, false, false, true]);
    }

    #[test]
    fn the_heading_says_what_is_ranked_and_keeps_its_time() {
        let (ranking, trends) = (ranking(), Trends::default());
        for (rank_by, micros, wide, narrow) in [
            (RankBy::P99, 90_000_000, "slowest endpoints of the last 90 s by p99", "slowest by p99, 90 s"),
            (RankBy::Count, 7_200_000_000, "busiest endpoints of the last 2 h by count", "busiest by count, 2 h"),
            (
                RankBy::ErrorRate,
                1_500_000,
                "most failing endpoints of the last PT1.5S by error rate",
                "most failing by error rate, PT1.5S",
            ),
        ] {
            let command = command(rank_by);
            let table = Table { window_micros: micros, ..shop(&ranking, &trends, &command) };
            assert_eq!(table.lines(120, 50)[0], format!("Shop: {wide}  12:00:02 UTC"));
            assert_eq!(table.lines(50, 50)[0], format!("12:00:02 {narrow}: Shop"));
        }
    }

    #[test]
    fn what_is_rare_is_counted_by_the_minute() {
        assert_eq!([0.0, 0.004, 0.0999, 0.1, 250.0].map(rate), ["0.0/s", "0.2/min", "6.0/min", "0.1/s", "250.0/s"]);
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let (ranking, command) = (Ranking { until: String::new(), rows: Vec::new() }, command(RankBy::P95));
        let trends = Trends::default();
        let table = shop(&ranking, &trends, &command);
        assert_eq!(table.lines(80, 50)[1], "nothing was measured in this time");
    }
}
