//! The table: as wide as the terminal, what matters most first, and nothing that does not fit.

use console::{measure_text_width, truncate_str};

use super::ranking::{Ranking, Row, Trends, statistic};
use crate::cli::arguments::{RankBy, Watch};

/// Columns that the bar of the longest value takes.
const BAR: usize = 12;
/// Columns that a trend takes.
const TREND: usize = 12;
/// Columns that the name of an endpoint takes at least.
const ENDPOINT_MIN: usize = 12;

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
}

impl Table<'_> {
    /// The lines of the table, none wider and not more than there is room.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let Watch { window, rank_by, .. } = self.command;
        let time = self.ranking.until.split_once('T').map_or("", |(_, time)| time.trim_end_matches('Z'));
        let head =
            format!("{}: slowest endpoints of the last {window} by {}  {time}", self.project, statistic(*rank_by));
        let mut lines = vec![head.trim_end().to_owned()];
        if self.ranking.rows.is_empty() {
            lines.push("nothing was measured in this time".to_owned());
        } else {
            lines.extend(self.rows(width));
        }
        lines.truncate(height.max(1));
        lines.iter().map(|line| truncate_str(line, width, "…").trim_end().to_owned()).collect()
    }

    fn rows(&self, width: usize) -> Vec<String> {
        let rank_by = self.command.rank_by;
        let top = self.ranking.rows.iter().map(|row| row.value).fold(0.0, f64::max);
        // Dropped from the right as the terminal gets narrower; the last one takes what is left.
        let mut columns: Vec<Column<'_>> = vec![Column::new(&value_title(rank_by), |row| value(rank_by, row.value))];
        if rank_by != RankBy::P95 {
            columns.push(Column::new("p95", |row| milliseconds(row.p95)));
        }
        columns.push(Column::new("rate", |row| format!("{:.1}/s", row.rate)));
        columns.push(Column::new("errors", |row| format!("{:.1} %", row.errors * 100.0)));
        columns.push(Column { width: BAR, ..Column::new("", move |row| bar(row.value, top)) });
        columns.push(Column { width: TREND, ..Column::new("trend", |row| self.trends.of(&row.endpoint)) });
        for column in &mut columns {
            column.fit(&self.ranking.rows);
        }
        let longest = |text: fn(&Row) -> usize, least| self.ranking.rows.iter().map(text).fold(least, usize::max);
        let wanted = longest(|row| measure_text_width(&row.endpoint), ENDPOINT_MIN);
        let taken = |columns: &[Column<'_>]| columns.iter().map(|column| column.width + 2).sum::<usize>();
        while columns.len() > 1 && ENDPOINT_MIN + taken(&columns) > width {
            columns.pop();
        }
        let endpoint = wanted.min(width.saturating_sub(taken(&columns))).max(ENDPOINT_MIN.min(width));
        let owners = width.saturating_sub(endpoint + taken(&columns) + 2);
        let line = |name: &str, cells: Vec<String>, people: &str| {
            let mut line = left(name, endpoint);
            for (cell, column) in cells.iter().zip(&columns) {
                line.push_str("  ");
                line.push_str(&column.aligned(cell));
            }
            if owners >= 8 {
                line.push_str("  ");
                line.push_str(people);
            }
            line
        };
        let titles = columns.iter().map(|column| column.title.clone()).collect();
        let mut lines = vec![line("endpoint", titles, "owners")];
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

fn bar(value: f64, top: f64) -> String {
    let share = if top > 0.0 { (value / top).clamp(0.0, 1.0) } else { 0.0 };
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 12")]
    let length = (share * BAR as f64).round() as usize;
    "█".repeat(length)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let table = Table { project: "Shop", ranking: &ranking, trends: &trends, command: &command };
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
        let table = Table { project: "Shop", ranking: &ranking, trends: &trends, command: &command };
        let wide = table.lines(140, 50);
        assert_eq!(wide[0], "Shop: slowest endpoints of the last PT5M by P95  12:00:02");
        assert_eq!(
            wide[2],
            "GET /orders/:id/with/a/path/that/is/long  1234 ms  12.5/s   3.1 %  ████████████  ▅             Ada Lovelace, 東京 太郎"
        );
        assert!(wide[3].starts_with("GET /東京                                 61.7 ms"), "{}", wide[3]);
        let narrow = table.lines(40, 50);
        assert!(
            narrow[2].starts_with("GET /") && narrow[2].contains("1234 ms") && !narrow[2].contains("Ada"),
            "{narrow:?}"
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let (ranking, command) = (Ranking { until: String::new(), rows: Vec::new() }, command(RankBy::P95));
        let table = Table { project: "Shop", ranking: &ranking, trends: &Trends::default(), command: &command };
        assert_eq!(table.lines(80, 50)[1], "nothing was measured in this time");
    }
}
