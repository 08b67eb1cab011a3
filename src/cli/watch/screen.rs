//! A part of the terminal that is drawn over in its place. Each picture is one write, over the one before and never
//! after erasing it: a terminal shows nothing in between, so nothing flickers.

use std::io;

use console::{Term, truncate_str};

/// Erases the rest of a line.
const REST_OF_LINE: &str = "\x1b[K";
/// Erases everything below.
const REST_OF_SCREEN: &str = "\x1b[J";
/// Erases everything, and goes to the first line.
const ANEW: &str = "\x1b[2J\x1b[H";

/// The terminal, without its cursor until this is dropped.
pub struct Screen {
    term: Term,
    /// Rows and columns when it was last drawn.
    size: (u16, u16),
    /// Lines of the last picture.
    drawn: usize,
    table: Vec<String>,
}

impl Screen {
    /// Begins where the cursor stands.
    pub fn new(term: Term) -> Self {
        // A terminal that cannot hide it shows it.
        let _ = term.hide_cursor();
        let size = term.size();
        Self { term, size, drawn: 0, table: Vec::new() }
    }

    /// Columns and lines of a picture. The last line of a terminal stays free, or it would scroll.
    pub fn room(&self) -> (usize, usize) {
        let (rows, columns) = self.term.size();
        (usize::from(columns), usize::from(rows).saturating_sub(1).max(1))
    }

    /// Shows a table, and whatever was said below the one before is gone.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&mut self, table: Vec<String>) -> io::Result<()> {
        self.table = table;
        self.draw(None)
    }

    /// Says something below the table, which stays: what was seen last is better than nothing.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        self.draw(Some(text))
    }

    fn draw(&mut self, note: Option<&str>) -> io::Result<()> {
        let room = self.room();
        let size = self.term.size();
        // Lines that were drawn for another size have been broken anywhere.
        let over = (size == self.size).then_some(self.drawn);
        let lines = lines(&self.table, note, room);
        self.term.write_str(&picture(&lines, over))?;
        (self.size, self.drawn) = (size, lines.len());
        self.term.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // The terminal is written to at a flush and not before.
        let _ = self.term.show_cursor().and_then(|()| self.term.flush());
    }
}

/// As much of the table as there is room for beside the note.
fn lines(table: &[String], note: Option<&str>, (width, height): (usize, usize)) -> Vec<String> {
    let table = table.iter().take(height - usize::from(note.is_some())).map(String::as_str);
    table.chain(note).map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// The text that draws lines over a picture of so many, or on an empty screen.
fn picture(lines: &[String], over: Option<usize>) -> String {
    let mut text = match over {
        None => ANEW.to_owned(),
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
    fn a_picture_is_drawn_over_the_one_before_and_erases_what_it_leaves() {
        assert_eq!(picture(&texts(&["a", "b"]), Some(0)), "a\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(picture(&texts(&["c"]), Some(2)), "\x1b[2A\rc\x1b[K\n\x1b[J");
        assert_eq!(picture(&texts(&["c"]), None), "\x1b[2J\x1b[Hc\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_note_stands_below_the_table_and_nothing_leaves_the_screen() {
        let table = texts(&["one", "two", "three"]);
        assert_eq!(lines(&table, None, (80, 10)), table);
        assert_eq!(lines(&table, Some("lost"), (80, 10)), ["one", "two", "three", "lost"]);
        assert_eq!(lines(&table, Some("it is lost"), (4, 3)), ["one", "two", "it …"]);
        assert_eq!(lines(&table, Some("lost"), (80, 1)), ["lost"]);
        assert_eq!(lines(&[], Some("lost"), (80, 10)), ["lost"]);
    }
}
