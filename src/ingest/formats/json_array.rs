//! Records that are the elements of one JSON array. Only where elements begin and end is found here; what is in them is
//! the JSON library's.

use super::{Broken, Framing, Raw, Row, Step, Unreadable, fields};

/// Where in the array the text stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Before,
    /// Behind `[` or `,`.
    Between {
        is_first: bool,
    },
    /// Inside of an element.
    Inside,
    Behind,
}

/// The elements of an array.
#[derive(Debug, Default)]
pub struct JsonArray {
    place: Place,
    /// How many braces and brackets of the element are open.
    depth: usize,
    in_string: bool,
    is_escaped: bool,
}

impl JsonArray {
    /// Takes a byte of an element. Answers how the element ended, if it did.
    fn inside(&mut self, byte: u8, raw: &mut Raw) -> Option<Place> {
        if self.in_string {
            match byte {
                _ if self.is_escaped => self.is_escaped = false,
                b'\\' => self.is_escaped = true,
                b'"' => self.in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b',' if self.depth == 0 => return Some(Place::Between { is_first: false }),
                b']' if self.depth == 0 => return Some(Place::Behind),
                b'"' => self.in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        raw.push(&[byte]);
        None
    }
}

impl Framing for JsonArray {
    fn feed(&mut self, piece: &[u8], raw: &mut Raw) -> Result<Step, Broken> {
        for (at, byte) in piece.iter().enumerate() {
            match self.place {
                Place::Inside => {
                    if let Some(place) = self.inside(*byte, raw) {
                        self.place = place;
                        return Ok(Step::Complete(at + 1));
                    }
                }
                _ if byte.is_ascii_whitespace() => {}
                Place::Before if *byte == b'[' => self.place = Place::Between { is_first: true },
                Place::Before => return Err(Broken::Malformed("is not a JSON array; it must begin with [".to_owned())),
                Place::Between { is_first: true } if *byte == b']' => self.place = Place::Behind,
                Place::Between { .. } if matches!(byte, b',' | b']') => {
                    return Err(Broken::Malformed("is not JSON: an element is missing behind a comma".to_owned()));
                }
                Place::Between { .. } => {
                    raw.clear();
                    (self.place, self.depth, self.in_string, self.is_escaped) = (Place::Inside, 0, false, false);
                    // Not a comma and not the end, so nothing ends with it.
                    let _ = self.inside(*byte, raw);
                }
                Place::Behind => {
                    return Err(Broken::Malformed("is not JSON: there is more behind the end of the array".to_owned()));
                }
            }
        }
        Ok(Step::More)
    }

    fn end(&mut self, _: &mut Raw) -> Result<bool, Broken> {
        match self.place {
            Place::Behind => Ok(false),
            Place::Before => Err(Broken::Malformed("is empty; send a JSON array of metrics".to_owned())),
            _ => Err(Broken::Malformed("ended before the end of the array".to_owned())),
        }
    }

    fn row(&mut self, raw: &Raw) -> Result<Row, Unreadable> {
        fields::from_json(&raw.bytes)
    }
}
