//! The table of a ranking. Columns that do not fit into the terminal are left out, the least important first.

use console::{measure_text_width, truncate_str};

use super::ranking::{RankedEndpoint, Ranking, Trends, figure, statistic};
use crate::{
    cli::arguments::{RankBy, Watch},
    model::timestamp::{HOUR_MICROS, MINUTE_MICROS, SECOND_MICROS, duration_text},
};

/// Width of the longest bar.
const BAR: usize = 12;
/// Width of a trend.
const TREND: usize = 12;
/// Number of graphical columns (trend and bar), which are the last ones.
const DRAWINGS: usize = 2;
/// The title of the owners' column.
const OWNERS: &str = "owners";
/// Minimum width of the endpoint's column.
const ENDPOINT_MIN: usize = 12;
/// Width of the endpoint's column below which graphics and owners are left out.
const ENDPOINT_LEGIBLE: usize = 32;
/// Minimum width of the owners' column, if the names are that long.
const OWNERS_MIN: usize = 20;

/// A ranking with everything that the table shows.
pub struct Table<'a> {
    /// The project's name with that of its organization.
    pub project: &'a str,
    /// The ranking.
    pub ranking: &'a Ranking,
    /// The trends of its endpoints.
    pub trends: &'a Trends,
    /// The arguments of the command.
    pub command: &'a Watch,
    /// The length of the window in microseconds.
    pub window_micros: i64,
    /// The time of the ranking.
    pub at: &'a str,
}

impl Table<'_> {
    /// The lines of the table, cut to the given width and height.
    pub fn lines(&self, width: usize, height: usize) -> Vec<String> {
        let mut lines = vec![self.heading(width)];
        if self.ranking.rows.is_empty() {
            lines.push("no measurements in this window".to_owned());
        } else {
            lines.extend(self.rows(width));
        }
        lines.truncate(height.max(1));
        lines.iter().map(|line| truncate_str(line, width, "…").trim_end().to_owned()).collect()
    }

    /// The heading, shortened if it does not fit.
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
        // Removed from the right as the terminal gets narrower.
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
        let longest =
            |text: fn(&RankedEndpoint) -> usize, least| self.ranking.rows.iter().map(text).fold(least, usize::max);
        let wanted = longest(|row| measure_text_width(&row.endpoint), ENDPOINT_MIN);
        let taken = |columns: &[Column<'_>]| columns.iter().map(|column| column.width + 2).sum::<usize>();
        // Owners are more important than graphics, and numbers are more important than owners.
        let legible = wanted.min(ENDPOINT_LEGIBLE);
        let numbers = columns.len() - DRAWINGS;
        let people = longest(|row| measure_text_width(&row.owners.join(", ")), 0);
        // At least as wide as the title, if there are owners.
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
    cell: Box<dyn Fn(&RankedEndpoint) -> String + 'a>,
}

impl<'a> Column<'a> {
    fn new(title: &str, cell: impl Fn(&RankedEndpoint) -> String + 'a) -> Self {
        Self { title: title.to_owned(), width: 0, cell: Box::new(cell) }
    }

    fn fit(&mut self, rows: &[RankedEndpoint]) {
        let widest = rows.iter().map(|row| measure_text_width(&(self.cell)(row))).max().unwrap_or(0);
        self.width = self.width.max(widest).max(measure_text_width(&self.title));
    }

    /// Numbers are aligned right, graphics left.
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
        value => format!("{} ms", figure(value)),
    }
}

fn rate(per_second: f64) -> String {
    if per_second > 0.0 && per_second < 0.1 {
        format!("{:.1}/min", per_second * 60.0)
    } else {
        format!("{per_second:.1}/s")
    }
}

/// A duration in its largest whole unit.
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
            url: crate::cli::client::DEFAULT_URL.parse().unwrap(),
            window: "PT5M".to_owned(),
            every: "PT2S".to_owned(),
            rank_by,
            limit: 10,
            once: false,
        }
    }

    fn ranking() -> Ranking {
        let row = |endpoint: &str, value: f64| RankedEndpoint {
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
    fn a_narrow_terminal_shows_the_most_important_columns() {
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
    fn owners_are_kept_longer_than_graphics_and_numbers_longer_than_owners() {
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
    fn the_heading_is_shortened_and_keeps_its_time() {
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
    fn low_rates_are_per_minute() {
        assert_eq!([0.0, 0.004, 0.0999, 0.1, 250.0].map(rate), ["0.0/s", "0.2/min", "6.0/min", "0.1/s", "250.0/s"]);
    }

    #[test]
    fn an_empty_ranking_is_reported() {
        let (ranking, command) = (Ranking { until: String::new(), rows: Vec::new() }, command(RankBy::P95));
        let trends = Trends::default();
        let table = shop(&ranking, &trends, &command);
        assert_eq!(table.lines(80, 50)[1], "no measurements in this window");
    }
}
