//! Lines of text in a log format: which fields of the format are used, and what they say in a line.

use super::{
    duration,
    layout::{self, Extent, Field, Mismatch, PIECES_MAX, Piece, SLOTS},
    moment::{self, UtcOffset},
    request,
    syntax::{FormatError, Meaning, NamedField, Part},
};
use crate::{
    ingest::submission::{Candidate, FieldError},
    model::MetricType,
};

/// Bytes of a line that an error shows.
const SHOWN_MAX: usize = 32;

/// A compiled log format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextFormat {
    pieces: Vec<Piece>,
    moment: Vec<Used<moment::Form>>,
    request: Request,
    status: Option<Used<()>>,
    duration: Used<duration::Form>,
    /// Whole seconds beside a finer time. A line in which the two differ has another format.
    seconds: Option<Used<()>>,
}

/// A field that is used.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Used<F> {
    name: String,
    slot: usize,
    form: F,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Request {
    Line(Used<()>),
    Parts { method: Option<Used<()>>, target: Used<()> },
}

/// Gives slots to the fields that are used.
struct Slots {
    pieces: Vec<Piece>,
    taken: usize,
}

impl Slots {
    fn take<F>(&mut self, at: usize, form: F) -> Result<Used<F>, FormatError> {
        let slot = self.taken;
        self.taken += 1;
        match self.pieces.get_mut(at) {
            Some(Piece::Field(field)) if slot < SLOTS => {
                field.slot = Some(slot);
                Ok(Used { name: field.name.clone(), slot, form })
            }
            _ => Err(FormatError("has too many fields of the moment".to_owned())),
        }
    }
}

/// The pieces of a format in which no field is used.
///
/// # Errors
/// The format has too many pieces, or fields side by side that nothing separates.
pub fn pieces(parts: &[Part]) -> Result<Vec<Piece>, FormatError> {
    if parts.len() > PIECES_MAX {
        return Err(FormatError(format!("has more than {PIECES_MAX} fields and texts")));
    }
    for pair in parts.windows(2) {
        if let [Part::Field(first), Part::Field(second)] = pair
            && matches!(first.extent, Extent::Text | Extent::Moment | Extent::Pattern(_))
        {
            let message = format!("has {} and {} with nothing between them", first.name, second.name);
            return Err(FormatError(message));
        }
    }
    Ok(parts
        .iter()
        .map(|part| match part {
            Part::Literal(text) => Piece::Literal(text.clone()),
            Part::Field(NamedField { name, extent, .. }) => {
                Piece::Field(Field { name: name.clone(), extent: *extent, slot: None })
            }
        })
        .collect())
}

impl TextFormat {
    /// Compiles the parts of a format.
    ///
    /// # Errors
    /// The format lacks the moment, the request or the time of the request.
    pub fn compile(parts: &[Part]) -> Result<Self, FormatError> {
        let mut slots = Slots { pieces: pieces(parts)?, taken: 0 };
        let fields = || {
            parts.iter().enumerate().filter_map(|(at, part)| match part {
                Part::Field(field) => Some((at, field)),
                Part::Literal(_) => None,
            })
        };
        let ranked = |rank: fn(&Meaning) -> Option<u8>| {
            fields().filter_map(|(at, field)| Some((rank(&field.meaning)?, at))).min().map(|(_, at)| at)
        };
        let duration = fields()
            .filter_map(|(at, field)| match field.meaning {
                Meaning::Duration(form, rank) => Some((rank, at, form)),
                _ => None,
            })
            .min_by_key(|(rank, at, _)| (*rank, *at));
        let Some((_, duration_at, form)) = duration else {
            let message = "has no time of the request: add $request_time (nginx) or %D (Apache) to the format of the server, \
                           and name the field here";
            return Err(FormatError(message.to_owned()));
        };
        let duration = slots.take(duration_at, form)?;
        let whole = duration::Form::Plain(duration::TimeUnit::Seconds);
        let is_seconds = |meaning: &Meaning| matches!(meaning, Meaning::Duration(found, 2) if *found == whole);
        let seconds = fields().find(|(at, field)| *at != duration_at && is_seconds(&field.meaning));
        let seconds = seconds.map(|(at, _)| slots.take(at, ())).transpose()?;
        let moment = moment_fields(fields()).into_iter();
        let moment: Vec<_> = moment.map(|(at, form)| slots.take(at, form)).collect::<Result<_, _>>()?;
        if moment.is_empty() {
            let message = "has no moment of the request, such as [$time_local] (nginx) or %t (Apache)";
            return Err(FormatError(message.to_owned()));
        }
        let line = ranked(|meaning| (*meaning == Meaning::Request).then_some(0));
        let target = ranked(|meaning| match meaning {
            Meaning::Target(rank) => Some(*rank),
            _ => None,
        });
        let request = match (line, target) {
            (Some(line), _) => Request::Line(slots.take(line, ())?),
            (None, Some(target)) => {
                let method = ranked(|meaning| (*meaning == Meaning::Method).then_some(0));
                Request::Parts {
                    method: method.map(|method| slots.take(method, ())).transpose()?,
                    target: slots.take(target, ())?,
                }
            }
            (None, None) => {
                let message = "has no request, such as \"$request\" or $request_method $request_uri (nginx), \"%r\" or %m %U \
                               (Apache)";
                return Err(FormatError(message.to_owned()));
            }
        };
        let status = ranked(|meaning| match meaning {
            Meaning::Status(rank) => Some(*rank),
            _ => None,
        });
        let status = status.map(|status| slots.take(status, ())).transpose()?;
        Ok(Self { pieces: slots.pieces, moment, request, status, duration, seconds })
    }

    /// The field of the request's time, and its unit.
    pub fn duration(&self) -> String {
        format!("{} in {}", self.duration.name, self.duration.form.words())
    }

    /// The fields of the moment.
    pub fn moment(&self) -> String {
        self.moment.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Reads a line.
    ///
    /// # Errors
    /// The line does not have this format, or a value in it is invalid.
    pub fn parse(&self, line: &str, offset: Option<UtcOffset>) -> Result<Candidate, FieldError> {
        let slots = layout::read(&self.pieces, line).map_err(|mismatch| self.explain(line, &mismatch))?;
        let text = |slot: usize| &line[slots[slot].0..slots[slot].1];
        let duration = text(self.duration.slot);
        let value = duration::milliseconds(duration, self.duration.form, &self.duration.name)?;
        if let Some(seconds) = &self.seconds {
            check_seconds(value, duration, text(seconds.slot))?;
        }
        let parts: Vec<_> = self.moment.iter().map(|part| (&part.form, text(part.slot))).collect();
        let timestamp = moment::moment(&parts, offset)?;
        let endpoint = match &self.request {
            Request::Line(line) => request::endpoint(text(line.slot))?,
            Request::Parts { method, target } => {
                request::endpoint_of(method.as_ref().map(|method| text(method.slot)), text(target.slot))?
            }
        };
        let status = self.status.as_ref().map(|status| request::status(text(status.slot))).transpose()?.flatten();
        Ok(candidate(endpoint, value, status, timestamp))
    }

    fn explain(&self, line: &str, mismatch: &Mismatch) -> FieldError {
        let Mismatch::At { at, piece } = *mismatch else {
            return FieldError::row(
                "can be read in several ways by this log format; separate its fields, for example with quotes",
            );
        };
        let expected = match self.pieces.get(piece) {
            None => String::new(),
            Some(Piece::Literal(text)) => text.clone(),
            Some(Piece::Field(field)) => field.name.clone(),
        };
        // A text of the format may fit in part.
        let is_text = matches!(self.pieces.get(piece), Some(Piece::Literal(_)));
        let same =
            line[at..].chars().zip(expected.chars()).take_while(|(here, wanted)| is_text && here == wanted).count();
        let here: String = line[at..].chars().skip(same).take(SHOWN_MAX).collect();
        let expected: String = expected.chars().skip(same).collect();
        let here = if here.is_empty() { "the line ends".to_owned() } else { format!("`{here}` stands") };
        FieldError::row(match self.pieces.get(piece) {
            None => format!("does not have the log format: {here} behind its last field"),
            Some(Piece::Literal(_)) => format!("does not have the log format: {here} where `{expected}` is expected"),
            Some(Piece::Field(_)) => format!("does not have the log format: {here} where {expected} is expected"),
        })
    }
}

/// The fields of the moment: parts that belong together, or the first one that is whole.
fn moment_fields<'a>(fields: impl Iterator<Item = (usize, &'a NamedField)>) -> Vec<(usize, moment::Form)> {
    let all: Vec<_> = fields
        .filter_map(|(at, field)| match &field.meaning {
            Meaning::Moment(form) => Some((at, form.clone())),
            _ => None,
        })
        .collect();
    let is_part = |form: &moment::Form| matches!(form, moment::Form::Pattern(_) | moment::Form::Fraction(_));
    // A number since 1970 is the most exact, then a whole text.
    let whole = all.iter().find(|(_, form)| matches!(form, moment::Form::Epoch(_)));
    let text = all.iter().find(|(_, form)| *form == moment::Form::Text);
    let parts: Vec<_> = all.iter().filter(|(_, form)| is_part(form)).cloned().collect();
    match whole.or(text) {
        Some(whole) => {
            let fractions = parts.into_iter().filter(|(_, form)| matches!(form, moment::Form::Fraction(_)));
            std::iter::once(whole.clone()).chain(fractions).collect()
        }
        None if parts.iter().any(|(_, form)| matches!(form, moment::Form::Pattern(_))) => parts,
        None => Vec::new(),
    }
}

/// Compares whole seconds, which Apache cuts off, with the finer time.
fn check_seconds(value: f64, finer: &str, seconds: &str) -> Result<(), FieldError> {
    let whole = duration::decimal(seconds, duration::TimeUnit::Seconds);
    let is_equal = seconds.contains('.') || whole.is_some_and(|whole| whole <= value && value < whole + 1_000.0);
    if is_equal {
        return Ok(());
    }
    let shown = |text: &str| text.chars().take(24).collect::<String>();
    let message = format!("`{}` and `{}` are not the same time in two units", shown(seconds), shown(finer));
    Err(FieldError::new("value", message))
}

/// The row of a request.
pub fn candidate(endpoint: String, value: f64, status: Option<i32>, timestamp: crate::model::Timestamp) -> Candidate {
    Candidate {
        kind: MetricType::ApiResponse,
        value,
        endpoint,
        status,
        timestamp: Some(timestamp),
        name: None,
        release: None,
        labels: Vec::new(),
    }
}
