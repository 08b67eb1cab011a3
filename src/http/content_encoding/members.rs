//! Bodies of several members (gzip) or frames (zstd), one after the other. An empty member of twenty bytes costs as much to
//! begin as a large one, so their number is limited.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use thiserror::Error;
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// The body has too many members.
#[derive(Debug, Error)]
#[error("has more than {0} compressed members (limits.ingest_body_members_max); compress it as one")]
pub struct TooManyMembers(u32);

/// A decoder of one member.
pub trait MemberDecoder: AsyncRead + Unpin {
    /// The reader of the encoded bytes.
    type Source: AsyncBufRead + Unpin;

    /// The encoded bytes after the member.
    fn source(&mut self) -> &mut Self::Source;

    /// Ends the member.
    fn into_source(self) -> Self::Source;
}

impl<R: AsyncBufRead + Unpin> MemberDecoder for GzipDecoder<R> {
    type Source = R;

    fn source(&mut self) -> &mut R {
        self.get_mut()
    }

    fn into_source(self) -> R {
        self.into_inner()
    }
}

impl<R: AsyncBufRead + Unpin> MemberDecoder for ZstdDecoder<R> {
    type Source = R;

    fn source(&mut self) -> &mut R {
        self.get_mut()
    }

    fn into_source(self) -> R {
        self.into_inner()
    }
}

/// The decoded bytes of all members.
pub struct Members<D, F> {
    /// `None` after an error.
    decoder: Option<D>,
    begin: F,
    members: u32,
    members_max: u32,
}

impl<D: MemberDecoder, F> Members<D, F> {
    /// Reads what is left without decoding it: a client that is still sending would not see the answer.
    fn poll_rest(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(decoder) = &mut self.decoder {
            let length = ready!(Pin::new(decoder.source()).poll_fill_buf(context))?.len();
            if length == 0 {
                self.decoder = None;
            } else {
                Pin::new(decoder.source()).consume(length);
            }
        }
        Poll::Ready(Err(io::Error::other(TooManyMembers(self.members_max))))
    }
}

impl<D: MemberDecoder, F: Fn(D::Source) -> D> Members<D, F> {
    /// Decodes at most `members_max` members with decoders that `begin` makes.
    pub fn new(source: D::Source, members_max: u32, begin: F) -> Self {
        Self { decoder: Some(begin(source)), begin, members: 1, members_max }
    }
}

impl<D: MemberDecoder, F: Fn(D::Source) -> D + Unpin> AsyncRead for Members<D, F> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.members > this.members_max {
            return this.poll_rest(context);
        }
        while let Some(decoder) = &mut this.decoder {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut *decoder).poll_read(context, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                break;
            }
            // The member is over.
            if ready!(Pin::new(decoder.source()).poll_fill_buf(context))?.is_empty() {
                break;
            }
            this.members += 1;
            if this.members > this.members_max {
                return this.poll_rest(context);
            }
            this.decoder = this.decoder.take().map(|decoder| (this.begin)(decoder.into_source()));
        }
        Poll::Ready(Ok(()))
    }
}
