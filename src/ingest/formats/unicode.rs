//! Text in UTF-8 from text in UTF-8 or, with a byte order mark, in UTF-16, as programs on Windows write it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

const UTF_8_MARK: &[u8] = b"\xEF\xBB\xBF";
const LITTLE_ENDIAN_MARK: &[u8] = b"\xFF\xFE";
const BIG_ENDIAN_MARK: &[u8] = b"\xFE\xFF";

/// The encoding that the byte order mark tells.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    /// Passed on as it is.
    Utf8,
    /// Two bytes per unit, converted by this function.
    Utf16(fn([u8; 2]) -> u16),
}

/// Reads text in UTF-8, without a byte order mark.
#[derive(Debug)]
pub struct Utf8Text<R> {
    source: R,
    /// `None` until the first bytes were read. They may arrive one by one.
    encoding: Option<Encoding>,
    head: Vec<u8>,
    /// Bytes to hand out before those of the source.
    ready: Vec<u8>,
    handed_out: usize,
    utf16: Utf16,
}

impl<R> Utf8Text<R> {
    /// Reads a source from its beginning.
    pub fn new(source: R) -> Self {
        let utf16 = Utf16::default();
        Self { source, encoding: None, head: Vec::new(), ready: Vec::new(), handed_out: 0, utf16 }
    }

    /// Recognizes a byte order mark at the beginning. `None` if more bytes decide.
    fn recognize(&mut self, is_end: bool) -> Option<Encoding> {
        let head = std::mem::take(&mut self.head);
        let is_begin_of = |mark: &[u8]| mark.starts_with(&head) && head.len() < mark.len();
        let (encoding, mark) = if head.starts_with(UTF_8_MARK) {
            (Encoding::Utf8, UTF_8_MARK)
        } else if head.starts_with(LITTLE_ENDIAN_MARK) {
            (Encoding::Utf16(u16::from_le_bytes), LITTLE_ENDIAN_MARK)
        } else if head.starts_with(BIG_ENDIAN_MARK) {
            (Encoding::Utf16(u16::from_be_bytes), BIG_ENDIAN_MARK)
        } else if !is_end && [UTF_8_MARK, LITTLE_ENDIAN_MARK, BIG_ENDIAN_MARK].into_iter().any(is_begin_of) {
            self.head = head;
            return None;
        } else {
            (Encoding::Utf8, &[][..])
        };
        let rest = &head[mark.len()..];
        match encoding {
            Encoding::Utf8 => self.ready.extend_from_slice(rest),
            Encoding::Utf16(unit) => self.utf16.decode(rest, unit, &mut self.ready),
        }
        Some(encoding)
    }
}

/// The state between two pieces of UTF-16.
#[derive(Debug, Default)]
struct Utf16 {
    /// The first byte of a unit.
    byte: Option<u8>,
    /// The first unit of a pair.
    high: Option<u16>,
    is_over: bool,
}

impl Utf16 {
    fn decode(&mut self, bytes: &[u8], unit: fn([u8; 2]) -> u16, text: &mut Vec<u8>) {
        let mut buffer = [0; 4];
        let mut push = |character: char| text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
        for byte in bytes {
            let Some(first) = self.byte.take() else {
                self.byte = Some(*byte);
                continue;
            };
            let unit = unit([first, *byte]);
            let units = [self.high.take(), Some(unit)].into_iter().flatten();
            for decoded in char::decode_utf16(units) {
                match decoded {
                    Ok(character) => push(character),
                    // The first unit of a pair waits for the second one.
                    Err(alone) if alone.unpaired_surrogate() == unit && (0xD800..0xDC00).contains(&unit) => {
                        self.high = Some(unit);
                    }
                    Err(_) => push(char::REPLACEMENT_CHARACTER),
                }
            }
        }
    }

    /// Replaces what the end cut in two.
    fn end(&mut self, text: &mut Vec<u8>) {
        let is_cut = self.byte.take().is_some() | self.high.take().is_some();
        if is_cut {
            text.extend_from_slice("\u{FFFD}".as_bytes());
        }
        self.is_over = true;
    }
}

impl<R: AsyncBufRead + Unpin> AsyncBufRead for Utf8Text<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        loop {
            if this.handed_out < this.ready.len() {
                return Poll::Ready(Ok(&this.ready[this.handed_out..]));
            }
            match this.encoding {
                Some(Encoding::Utf8) => return Pin::new(&mut this.source).poll_fill_buf(cx),
                Some(Encoding::Utf16(_)) if this.utf16.is_over => return Poll::Ready(Ok(&[])),
                Some(Encoding::Utf16(unit)) => {
                    this.ready.clear();
                    this.handed_out = 0;
                    let piece = ready!(Pin::new(&mut this.source).poll_fill_buf(cx))?;
                    let length = piece.len();
                    if length == 0 {
                        this.utf16.end(&mut this.ready);
                    } else {
                        this.utf16.decode(piece, unit, &mut this.ready);
                        Pin::new(&mut this.source).consume(length);
                    }
                }
                None => {
                    let piece = ready!(Pin::new(&mut this.source).poll_fill_buf(cx))?;
                    let taken = piece.len().min(UTF_8_MARK.len() - this.head.len());
                    let is_end = piece.is_empty();
                    this.head.extend_from_slice(&piece[..taken]);
                    Pin::new(&mut this.source).consume(taken);
                    this.encoding = this.recognize(is_end);
                }
            }
        }
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        let this = self.get_mut();
        if this.handed_out < this.ready.len() {
            this.handed_out += amount;
        } else {
            Pin::new(&mut this.source).consume(amount);
        }
    }
}

impl<R: AsyncBufRead + Unpin> AsyncRead for Utf8Text<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let piece = ready!(self.as_mut().poll_fill_buf(cx))?;
        let taken = piece.len().min(buffer.remaining());
        buffer.put_slice(&piece[..taken]);
        self.consume(taken);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, BufReader};

    use super::*;

    async fn read(bytes: &[u8], piece: usize) -> String {
        let mut text = String::new();
        let mut source = Utf8Text::new(BufReader::with_capacity(piece, bytes));
        source.read_to_string(&mut text).await.unwrap();
        text
    }

    fn utf16(text: &str, mark: &[u8], bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        mark.iter().copied().chain(text.encode_utf16().flat_map(bytes)).collect()
    }

    #[tokio::test]
    async fn every_encoding_gives_the_same_text_however_it_is_cut() {
        for text in ["", "a", "type,value\r\n/ä/日本/🙂,1\r\n", "\u{feff}"] {
            for piece in [1, 2, 3, 5, 1_000] {
                assert_eq!(read(&[UTF_8_MARK, text.as_bytes()].concat(), piece).await, text);
                assert_eq!(read(&utf16(text, LITTLE_ENDIAN_MARK, u16::to_le_bytes), piece).await, text);
                assert_eq!(read(&utf16(text, BIG_ENDIAN_MARK, u16::to_be_bytes), piece).await, text);
            }
        }
        for plain in ["", "a", "ab", "abc", "type"] {
            assert_eq!(read(plain.as_bytes(), 1).await, plain);
        }
    }

    #[tokio::test]
    async fn what_is_no_mark_and_what_is_cut_stays_or_is_replaced() {
        let mut cut = Vec::new();
        Utf8Text::new(&b"\xEF\xBB"[..]).read_to_end(&mut cut).await.unwrap();
        assert_eq!(cut, b"\xEF\xBB");
        let pair: Vec<u8> = utf16("🙂", LITTLE_ENDIAN_MARK, u16::to_le_bytes);
        assert_eq!(read(&pair[..4], 1).await, "\u{FFFD}");
        assert_eq!(read(&pair[..3], 1).await, "\u{FFFD}");
        let mut alone = pair[..4].to_vec();
        alone.extend([b'a', 0]);
        assert_eq!(read(&alone, 2).await, "\u{FFFD}a");
    }
}
