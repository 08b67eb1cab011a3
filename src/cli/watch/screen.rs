//! A part of the terminal that is updated in place. Each update is one write over the previous one without erasing it first,
//! so nothing flickers.

use std::io;

use console::{Term, truncate_str};

/// Erases the rest of a line.
const REST_OF_LINE: &str = "\x1b[K";
/// Erases everything below.
const REST_OF_SCREEN: &str = "\x1b[J";
/// Erases everything, and goes to the first line.
const CLEAR_SCREEN: &str = "\x1b[2J\x1b[H";

/// The terminal. Its cursor is hidden until this is dropped.
pub struct Screen {
    term: Term,
    /// Rows and columns when it was last drawn.
    size: (u16, u16),
    /// Number of lines of the last update.
    drawn: usize,
    table: Vec<String>,
}

impl Screen {
    /// Starts at the position of the cursor.
    pub fn new(term: Term) -> Self {
        // A terminal that cannot hide its cursor is usable too.
        let _ = term.hide_cursor();
        let size = term.size();
        Self { term, size, drawn: 0, table: Vec::new() }
    }

    /// The available columns and lines. The last line stays free, because writing it would scroll.
    pub fn room(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (usize::from(columns), usize::from(rows).saturating_sub(1).max(1))
    }

    /// Shows a table and removes the note below the previous one.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn show(&mut self, table: Vec<String>) -> io::Result<()> {
        self.table = table;
        self.draw(None)
    }

    /// Shows a note below the current table.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.draw(Some(text))
    }

    fn draw(&mut self, note: Option<&str>) -> io::Result<()> {
        let room = self.room();
        let size = self.term.size();
        // After a change of size the terminal may have wrapped lines, so everything is redrawn.
        let over = (size == self.size).then_some(self.drawn);
        let lines = lines(&self.table, note, room);
        self.term.write_str(&update(&lines, over))?;
        (self.size, self.drawn) = (size, lines.len());
        self.term.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal is buffered, so the change needs a flush.
        let _ = self.term.show_cursor().and_then(|()| self.term.flush());
    }
}

/// The lines of the table that fit above the note.
fn lines(table: &[String], note: Option<&str>, (width, height): (usize, usize)) -> Vec<String> {
    let table = table.iter().take(height - usize::from(note.is_some())).map(String::as_str);
    table.chain(note).map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// The text that draws lines over the given number of previous lines, or on a cleared screen.
fn update(lines: &[String], over: Option<usize>) -> String {
    let mut text = match over {
        None => CLEAR_SCREEN.to_owned(),
        Some(0) => String::new(),
        Some(drawn) => format!("\x1b[{drawn}A\r"),
    };
    for line in lines {
        text.push_str(line);
        text.push_str(REST_OF_LINE);
        text.push('\n');
    }
    text.push_str(REST_OF_SCREEN);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[&str]) -> Vec<String> {
        lines.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_update_overwrites_the_previous_one_and_erases_the_rest() {
        assert_eq!(update(&texts(&["a", "b"]), Some(0)), "a\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(update(&texts(&["c"]), Some(2)), "\x1b[2A\rc\x1b[K\n\x1b[J");
        assert_eq!(update(&texts(&["c"]), None), "\x1b[2J\x1b[Hc\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_note_is_below_the_table_and_everything_fits() {
        let table = texts(&["one", "two", "three"]);
        assert_eq!(lines(&table, None, (80, 10)), table);
        assert_eq!(lines(&table, Some("lost"), (80, 10)), ["one", "two", "three", "lost"]);
        assert_eq!(lines(&table, Some("it is lost"), (4, 3)), ["one", "two", "it …"]);
        assert_eq!(lines(&table, Some("lost"), (80, 1)), ["lost"]);
        assert_eq!(lines(&[], Some("lost"), (80, 10)), ["lost"]);
    }
}
