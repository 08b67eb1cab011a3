//! The connection of a WebSocket, which counts the bytes of a message while it arrives. The library collects a message out of
//! sight; its only limit is the size of one message.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use axum::body::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::BUFFER_BYTES;
use crate::http::in_flight::{Arrival, Broken, Held, InFlight};

/// Bytes of the head of a ping or pong.
const CONTROL_HEAD_BYTES: usize = 6;

/// A connection whose unfinished messages take room in [`InFlight`].
pub struct CountedConnection<S> {
    stream: S,
    arrival: Arrival,
    /// Bytes since the last whole message.
    unfinished: usize,
    /// Bytes of a buffer that the library keeps after a message of several frames.
    kept: usize,
    /// Waits for room; nothing more is read before there is some.
    growing: Option<BoxFuture<'static, Result<(), Broken>>>,
}

impl<S> CountedConnection<S> {
    /// Counts what is read from now on.
    pub fn new(stream: S, in_flight: &Arc<InFlight>) -> Self {
        Self { stream, arrival: in_flight.arrival(), unfinished: 0, kept: 0, growing: None }
    }

    /// Cancelled when the client has to give way to others: it has stopped sending in the middle of a message.
    pub fn ended(&self) -> CancellationToken {
        self.arrival.ended().clone()
    }

    /// The library has made a message of the bytes. Returns the room that it takes.
    pub fn complete(&mut self, message: &Message) -> Held {
        let payload: &Bytes = match message {
            Message::Text(text) => text.as_ref(),
            Message::Binary(bytes) => bytes,
            // It may have come between the frames of a message.
            Message::Ping(bytes) | Message::Pong(bytes) => {
                self.unfinished = self.unfinished.saturating_sub(CONTROL_HEAD_BYTES + bytes.len());
                return self.excess();
            }
            Message::Close(_) | Message::Frame(_) => return self.excess(),
        };
        // A message of one frame shares the buffer of the library. One of several was copied from it, and the buffer stays as
        // large as the largest frame.
        if payload.is_unique() {
            self.kept = self.kept.max(self.unfinished);
        }
        self.unfinished = 0;
        if self.kept <= BUFFER_BYTES {
            self.arrival.complete();
        }
        self.excess()
    }

    /// The connection without the count. The room is given back.
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// The room that the bytes should take: each socket has a small buffer anyway, so that what is healthy needs no room.
    fn wanted(&self) -> usize {
        (self.kept + self.unfinished).saturating_sub(BUFFER_BYTES)
    }

    fn excess(&self) -> Held {
        let held = self.arrival.held();
        held.split(held.bytes().saturating_sub(self.wanted()))
    }

    fn grow(&mut self) {
        let held = self.arrival.held();
        let more = self.wanted().saturating_sub(held.bytes());
        if more > 0 && !held.try_grow(more) {
            let held = held.clone();
            self.growing = Some(async move { held.grow(more).await }.boxed());
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for CountedConnection<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(growing) = &mut this.growing {
            let grown = ready!(growing.as_mut().poll(context));
            this.growing = None;
            grown.map_err(io::Error::other)?;
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(context, buffer);
        if read.is_ready() {
            let bytes = buffer.filled().len() - before;
            this.arrival.receive(bytes);
            this.unfinished += bytes;
            this.grow();
        } else if this.wanted() > 0 {
            this.arrival.wait();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for CountedConnection<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
