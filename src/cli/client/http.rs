//! An HTTP client of the server, with one connection that is opened again when it is lost.

use std::{
    pin::{Pin, pin},
    time::Duration,
};

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, StatusCode,
    client::conn::http1::{self, SendRequest},
    header::{self, HeaderMap},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};

use super::{ClientError, ServerAddress};
use crate::model::Timestamp;

/// Timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Timeout for a response. A part of an import may wait for a database that is busy.
const RESPONSE_TIMEOUT: Duration = Duration::from_mins(2);

/// A response.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// The time of the server. `None` if it did not send it.
    pub fn date(&self) -> Option<Timestamp> {
        Timestamp::from_http_date(self.headers.get(header::DATE)?.to_str().ok()?)
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// It is something else, so the address is not that of a server of this program.
    pub fn json(&self) -> Result<Value, ClientError> {
        serde_json::from_slice(&self.body).map_err(|_| {
            ClientError::Refused(format!("the server answered {} without JSON; is it perfgraph?", self.status))
        })
    }
}

/// A connection, and the future that moves its bytes until it ends.
struct OpenConnection {
    sender: SendRequest<Full<Bytes>>,
    transfer: Option<Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>>>,
}

impl OpenConnection {
    /// False if the other side has closed it meanwhile.
    fn is_open(&mut self) -> bool {
        let has_ended = self.transfer.as_mut().is_none_or(|transfer| transfer.now_or_never().is_some());
        if has_ended {
            self.transfer = None;
        }
        !has_ended && !self.sender.is_closed()
    }

    /// Sends a request and waits for its response.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, ClientError> {
        let Self { sender, transfer } = self;
        let exchange = async {
            let (head, body) = sender.send_request(request).await.map_err(ClientError::lost)?.into_parts();
            let body = body.collect().await.map_err(ClientError::lost)?.to_bytes();
            Ok(Reply { status: head.status, headers: head.headers, body })
        };
        let mut exchange = pin!(exchange);
        let ended = async {
            if let Some(transfer) = transfer {
                drop(transfer.await);
            }
        };
        tokio::select! {
            biased;
            reply = &mut exchange => return reply,
            () = ended => {}
        }
        // The last bytes may have come with the end of the connection. A request that waits for it fails once it is dropped.
        *transfer = None;
        exchange.await
    }
}

/// The client.
pub struct HttpClient {
    address: ServerAddress,
    open: Option<OpenConnection>,
}

impl HttpClient {
    /// A client that connects with its first request.
    pub const fn new(address: ServerAddress) -> Self {
        Self { address, open: None }
    }

    /// Sends a request and waits for the whole response.
    ///
    /// # Errors
    /// The server cannot be reached, or the connection was lost before the response was complete.
    pub async fn post(
        &mut self,
        path: &str,
        headers: &[(&'static str, &str)],
        body: Bytes,
    ) -> Result<Reply, ClientError> {
        let mut request = Request::post(path).header(header::HOST, &self.address.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).map_err(|error| ClientError::Refused(error.to_string()))?;
        let open = self.open.take();
        let mut open = match open.and_then(|mut open| open.is_open().then_some(open)) {
            Some(open) => open,
            None => self.connect().await?,
        };
        let reply = timeout(RESPONSE_TIMEOUT, open.exchange(request)).await;
        let reply = reply.unwrap_or_else(|_| Err(ClientError::lost("the server does not respond")))?;
        self.open = Some(open);
        Ok(reply)
    }

    /// The data of a GraphQL operation, and the response.
    ///
    /// # Errors
    /// As [`Self::post`], and if the server refuses the operation.
    pub async fn graphql(&mut self, query: &str, variables: Value) -> Result<(Value, Reply), ClientError> {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let headers = [("content-type", "application/json"), ("accept", "application/json")];
        let reply = self.post("/graphql", &headers, body.into()).await?;
        let mut answer = reply.json()?;
        match answer["errors"].get(0) {
            Some(error) => Err(super::websocket::refusal(error)),
            None => Ok((answer["data"].take(), reply)),
        }
    }

    async fn connect(&self) -> Result<OpenConnection, ClientError> {
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(self.address.authority())).await;
        let stream =
            connecting.map_err(|_| ClientError::lost("the server does not respond"))?.map_err(ClientError::lost)?;
        // Otherwise the end of a body waits for the acknowledgement of its beginning.
        stream.set_nodelay(true).map_err(ClientError::lost)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(ClientError::lost)?;
        Ok(OpenConnection { sender, transfer: Some(Box::pin(connection)) })
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";

    /// Reads a request, sends an answer to it, and closes the connection.
    async fn serve_one(listener: &TcpListener, answer: &[u8]) {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"rows") {
            stream.read_buf(&mut request).await.unwrap();
        }
        stream.write_all(answer).await.unwrap();
    }

    async fn post(client: &mut HttpClient) -> Result<Reply, ClientError> {
        timeout(Duration::from_secs(10), client.post("/", &[], Bytes::from_static(b"rows"))).await.unwrap()
    }

    #[tokio::test]
    async fn a_connection_that_was_closed_between_two_requests_is_opened_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = HttpClient::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        for _ in 0..3 {
            let (reply, ()) = tokio::join!(post(&mut client), serve_one(&listener, ANSWER));
            assert_eq!(reply.unwrap().status, StatusCode::OK);
        }
    }

    #[tokio::test]
    async fn a_connection_that_ends_before_the_answer_is_lost_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = HttpClient::new(format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
        for cut in [0, 20] {
            let (reply, ()) = tokio::join!(post(&mut client), serve_one(&listener, &ANSWER[..cut]));
            assert!(matches!(reply, Err(ClientError::Lost(_))), "{reply:?}");
        }
    }
}
