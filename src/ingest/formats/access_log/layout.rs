//! A log format as a sequence of texts and fields, and the search for a reading of a line.
//!
//! A field without quotes never contains a quote, so quoted fields anchor a line. Where a field may end at several places,
//! all of them are tried, and a line with two readings whose used fields differ is refused.

use std::collections::HashMap;

/// The number of fields whose text is used, at most.
pub const SLOTS: usize = 8;

/// Attempts per line. Ordinary lines take one per piece.
const STEPS_MAX: usize = 5_000;

/// Bytes of a prefix that another program wrote before the line: syslog, kubectl, a container runtime.
const PREFIX_BYTES_MAX: usize = 512;

/// Pieces of a format, at most: each is a level of the search.
pub const PIECES_MAX: usize = 200;

/// Digits of a number since 1970, at least: seconds since 1973.
const EPOCH_DIGITS_MIN: usize = 9;

/// The characters that a field may consist of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// No white space.
    Word,
    /// No white space and no slash: a host before a path.
    Host,
    /// Anything but quotes, perhaps nothing.
    Text,
    /// A time: digits first, no brackets, one space at most.
    Moment,
    /// A time in a format of its own: no brackets, at most this number of spaces.
    Pattern(usize),
    /// A number since 1970.
    Epoch,
    /// A number, or `-`.
    Number,
    /// Numbers or `-`, separated by commas or colons: one for each server that was asked.
    Numbers,
    /// A number with a unit, such as `22ms`.
    Measure,
    /// Everything up to the next text of the format, quotes included.
    Anything,
}

/// A field of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// The name in the format, such as `$request_time` or `%D`.
    pub name: String,
    pub extent: Extent,
    /// The index of its text in the reading, if it is used.
    pub slot: Option<usize>,
}

/// A piece of a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// This text.
    Literal(String),
    /// The text of a field.
    Field(Field),
}

/// The texts of the used fields, as ranges of bytes.
pub type Slots = [(usize, usize); SLOTS];

/// The reason why a line has no reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The line departs from the format at a byte, where the piece with this index is expected.
    At {
        /// The byte.
        at: usize,
        /// The index of the piece; the number of pieces stands for the end of the line.
        piece: usize,
    },
    /// The line has several readings.
    Ambiguous,
}

/// Finds the one reading of a line. If the line does not begin with the format, a prefix before it is skipped.
pub fn read(pieces: &[Piece], line: &str) -> Result<Slots, Mismatch> {
    let mut search = Search { pieces, line, quotes: quotes(line), known: HashMap::new(), steps: 0, furthest: (0, 0) };
    let mut found = search.from(0, 0);
    if found == Readings::None {
        let prefix = search.quote(0).min(PREFIX_BYTES_MAX);
        let starts = line.match_indices(' ').map(|(at, _)| at + 1).take_while(|start| *start <= prefix);
        for start in starts.filter(|start| !line[*start..].starts_with(' ')) {
            found = found.or(search.from(0, start));
        }
    }
    match found {
        Readings::One(slots) => Ok(slots),
        Readings::Many => Err(Mismatch::Ambiguous),
        Readings::None => Err(Mismatch::At { at: search.furthest.1, piece: search.furthest.0 }),
    }
}

/// The readings of a rest of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Readings {
    None,
    One(Slots),
    Many,
}

impl Readings {
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::None, any) | (any, Self::None) => any,
            (Self::One(first), Self::One(second)) if first == second => self,
            _ => Self::Many,
        }
    }
}

struct Search<'a> {
    pieces: &'a [Piece],
    line: &'a str,
    /// The quotes that no backslash escapes.
    quotes: Vec<usize>,
    /// Readings of rests that were met before, by piece and byte.
    known: HashMap<(usize, usize), Readings>,
    steps: usize,
    /// The furthest byte that fits, with the piece that did not fit there.
    furthest: (usize, usize),
}

impl Search<'_> {
    fn from(&mut self, piece: usize, at: usize) -> Readings {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Readings::Many;
        }
        let (pieces, line) = (self.pieces, self.line);
        match pieces.get(piece) {
            None if at == line.len() => Readings::One([(0, 0); SLOTS]),
            Some(Piece::Literal(text)) if line[at..].starts_with(text.as_str()) => {
                self.from(piece + 1, at + text.len())
            }
            Some(Piece::Field(field)) => self.field(field, piece, at),
            None | Some(Piece::Literal(_)) => self.miss(piece, at),
        }
    }

    fn field(&mut self, field: &Field, piece: usize, at: usize) -> Readings {
        if let Some(known) = self.known.get(&(piece, at)) {
            return *known;
        }
        let line = self.line;
        let quote = self.quote(at);
        let limit = at + extent(field.extent, &line[at..], quote - at);
        let mut found = Readings::None;
        let mut attempts = 0_usize;
        let mut attempt = |search: &mut Self, end: usize| {
            if fits(field.extent, &line[at..end]) {
                attempts += 1;
                let mut rest = search.from(piece + 1, end);
                if let (Readings::One(slots), Some(slot)) = (&mut rest, field.slot) {
                    slots[slot] = (at, end);
                }
                found = found.or(rest);
            }
            found != Readings::Many
        };
        match self.pieces.get(piece + 1) {
            Some(Piece::Literal(text)) => {
                let end = line.ceil_char_boundary(limit + text.len());
                let mut from = at;
                while let Some(place) = line[from..end].find(text.as_str()).map(|place| from + place) {
                    // The quote of the format is not one that a backslash escapes in the line.
                    let is_quote = |place| place == quote || self.quotes.binary_search(&place).is_ok();
                    let is_end = text.find('"').is_none_or(|offset| is_quote(place + offset));
                    if is_end && !attempt(self, place) {
                        break;
                    }
                    from = place + line[place..].chars().next().map_or(1, char::len_utf8);
                }
            }
            // Two fields side by side: the first one is as long as its characters allow.
            Some(Piece::Field(_)) | None => {
                attempt(self, limit);
            }
        }
        match attempts {
            // The text fits, and what follows it does not.
            0 if fits(field.extent, &line[at..limit]) => self.miss(piece + 1, limit),
            0 => self.miss(piece, at),
            _ => Readings::None,
        };
        if attempts != 1 {
            self.known.insert((piece, at), found);
        }
        found
    }

    /// The first quote at or after a byte, or the end of the line.
    fn quote(&self, at: usize) -> usize {
        let next = self.quotes.partition_point(|place| *place < at);
        self.quotes.get(next).copied().unwrap_or(self.line.len())
    }

    fn miss(&mut self, piece: usize, at: usize) -> Readings {
        if at >= self.furthest.1 {
            self.furthest = (piece, at);
        }
        Readings::None
    }
}

/// The bytes at the start of `text` that the characters of a field allow. `quote` is the byte of the first quote.
fn extent(extent: Extent, text: &str, quote: usize) -> usize {
    let run = |is_part: fn(char) -> bool| text.find(|character| !is_part(character)).unwrap_or(text.len());
    match extent {
        Extent::Word => run(|character| !character.is_whitespace()).min(quote),
        Extent::Host => run(|character| !character.is_whitespace() && character != '/').min(quote),
        Extent::Text => quote,
        Extent::Moment | Extent::Pattern(_) => run(|character| !matches!(character, '[' | ']' | '"')),
        Extent::Number | Extent::Epoch => run(|character| character.is_ascii_digit() || matches!(character, '.' | '-')),
        Extent::Numbers => {
            let run = run(|character| character.is_ascii_digit() || ".-,: ".contains(character));
            text[..run].trim_end_matches([' ', ',', ':']).len()
        }
        Extent::Measure => run(|character| character.is_alphanumeric() || character == '.'),
        Extent::Anything => text.len(),
    }
}

/// The bytes of all quotes that no backslash escapes.
pub fn quotes(text: &str) -> Vec<usize> {
    let mut is_escaped = false;
    let mut places = Vec::new();
    for (place, byte) in text.bytes().enumerate() {
        if byte == b'"' && !is_escaped {
            places.push(place);
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    places
}

/// True if a text within the characters of a field has its form.
fn fits(extent: Extent, text: &str) -> bool {
    match extent {
        Extent::Text | Extent::Anything => true,
        Extent::Word | Extent::Host => !text.is_empty(),
        Extent::Moment => text.starts_with(|first: char| first.is_ascii_digit()) && text.matches(' ').count() <= 1,
        Extent::Pattern(spaces) => !text.is_empty() && text.matches(' ').count() <= spaces,
        Extent::Epoch => is_number(text) && text.bytes().take_while(u8::is_ascii_digit).count() >= EPOCH_DIGITS_MIN,
        Extent::Number => is_number(text),
        Extent::Numbers => items(text).all(is_number),
        Extent::Measure => text.starts_with(|first: char| first.is_ascii_digit()),
    }
}

/// The numbers of several servers: commas separate attempts, colons the redirects within the server.
pub fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(", ").flat_map(|part| part.split(" : "))
}

/// Digits with at most one point between them, or `-` for none.
fn is_number(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text == "-" || (is_digits(whole.strip_prefix('-').unwrap_or(whole)) && is_digits(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, extent: Extent, slot: Option<usize>) -> Piece {
        Piece::Field(Field { name: name.to_owned(), extent, slot })
    }

    fn literal(text: &str) -> Piece {
        Piece::Literal(text.to_owned())
    }

    fn texts<'a>(pieces: &[Piece], line: &'a str) -> Result<[&'a str; 2], Mismatch> {
        read(pieces, line).map(|slots| [0, 1].map(|slot: usize| &line[slots[slot].0..slots[slot].1]))
    }

    #[test]
    fn one_reading_is_found_behind_any_prefix() {
        let pieces = [
            field("address", Extent::Word, None),
            literal(" "),
            field("user", Extent::Text, None),
            literal(" ["),
            field("time", Extent::Pattern(0), Some(0)),
            literal("] \""),
            field("request", Extent::Text, Some(1)),
            literal("\" "),
            field("upstream", Extent::Numbers, None),
        ];
        for line in [
            "::1 me [now] \"GET \\\"/\\\" [x] \" 0.1, - : 0.2",
            "::1 jo[e] [x [now] \"GET \\\"/\\\" [x] \" -",
            "Nov 29 12:00:00 web1 nginx[12]: ::1 me [now] \"GET \\\"/\\\" [x] \" 1",
            "[pod/web-1/nginx] ::1 me [now] \"GET \\\"/\\\" [x] \" 1",
        ] {
            assert_eq!(texts(&pieces, line), Ok(["now", "GET \\\"/\\\" [x] "]), "{line}");
        }
        let mismatch = |at, piece| Err(Mismatch::At { at, piece });
        assert_eq!(texts(&pieces, "::1 me [now] \"GET\" x"), mismatch(19, 8));
        assert_eq!(texts(&pieces, "::1 me [now] \"GET\" 1 x"), mismatch(20, 9));
        assert_eq!(texts(&pieces, ""), mismatch(0, 0));
    }

    #[test]
    fn a_line_with_two_readings_is_refused() {
        let pieces = [
            field("a", Extent::Text, Some(0)),
            literal(" "),
            field("b", Extent::Text, None),
            literal(" "),
            field("c", Extent::Word, Some(1)),
        ];
        assert_eq!(texts(&pieces, "1 2 3"), Ok(["1", "3"]));
        assert_eq!(texts(&pieces, "1 2 3 4"), Err(Mismatch::Ambiguous));
        let unused = [
            field("a", Extent::Text, None),
            pieces[1].clone(),
            pieces[2].clone(),
            pieces[3].clone(),
            pieces[4].clone(),
        ];
        assert_eq!(texts(&unused, "1 2 3 4"), Ok(["", "4"]), "readings that differ in unused fields only are one");
    }

    #[test]
    fn a_hostile_line_ends_the_search() {
        let many: Vec<_> = (0..40).flat_map(|_| [field("a", Extent::Text, None), literal(" ")]).collect();
        let line = "x ".repeat(30_000) + "\"";
        assert!(read(&many, &line).is_err());
    }
}
