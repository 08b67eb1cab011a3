//! A client that costs as little as possible: ready-made bytes over HTTP/1.1 connections that stay open.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Outcome;

const HEAD_END: &[u8] = b"\r\n\r\n";

/// A GET request.
pub fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// A POST request with a JSON body; `more` are further header lines, each with its line end.
pub fn post(path: &str, body: &str, more: &str) -> Vec<u8> {
    post_as("application/json", path, body, more)
}

/// A POST request whose body is one JSON value a line.
pub fn post_lines(path: &str, body: &str) -> Vec<u8> {
    post_as("application/x-ndjson", path, body, "")
}

fn post_as(media_type: &str, path: &str, body: &str, more: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {media_type}\r\n{more}content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// One connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub async fn open(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and answers the body, when the status is 200.
    pub async fn send(&mut self, request: &[u8]) -> Outcome<&[u8]> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let head = loop {
            self.more().await?;
            if let Some(at) = self.buffer.windows(HEAD_END.len()).position(|window| window == HEAD_END) {
                break at + HEAD_END.len();
            }
        };
        let text = std::str::from_utf8(&self.buffer[..head])?;
        let is_ok = text.starts_with("HTTP/1.1 200");
        let length: usize = text
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find_map(|(name, value)| name.eq_ignore_ascii_case("content-length").then_some(value))
            .ok_or("an answer without content-length")?
            .trim()
            .parse()?;
        while self.buffer.len() < head + length {
            self.more().await?;
        }
        if is_ok {
            return Ok(&self.buffer[head..head + length]);
        }
        Err(format!("refused: {}", String::from_utf8_lossy(&self.buffer)).into())
    }

    async fn more(&mut self) -> Outcome<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the server closed the connection".into()),
            _ => Ok(()),
        }
    }
}

/// One request on a connection of its own, the body as JSON.
pub async fn ask(address: SocketAddr, request: &[u8]) -> Outcome<serde_json::Value> {
    let mut connection = Connection::open(address).await?;
    Ok(serde_json::from_slice(connection.send(request).await?)?)
}
