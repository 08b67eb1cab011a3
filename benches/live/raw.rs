//! The lower bound: one prepared text sent to every socket, with the same buffers as perfgraph.

use axum::{
    Router,
    extract::{
        State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::{get, post},
};
use tokio::{net::TcpListener, sync::broadcast};

use crate::Outcome;

/// The word that makes this program a server.
pub const MODE: &str = "raw-broadcast";
const BUFFER_BYTES: usize = 1_024;
const CAPACITY: usize = 256;

type Sender = broadcast::Sender<Utf8Bytes>;

/// Serves until it is killed.
pub fn run() -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        eprintln!("raw serves on http://{}", listener.local_addr()?);
        let routes = Router::new()
            .route("/graphql", get(upgrade))
            .route("/publish", post(publish))
            .with_state(Sender::new(CAPACITY));
        Ok(axum::serve(axum::serve::ListenerExt::tap_io(listener, |stream| drop(stream.set_nodelay(true))), routes)
            .await?)
    })
}

async fn publish(State(sender): State<Sender>, text: String) {
    let _ = sender.send(text.into());
}

async fn upgrade(State(sender): State<Sender>, upgrade: WebSocketUpgrade) -> Response {
    upgrade
        .protocols(["graphql-transport-ws"])
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .on_upgrade(|socket| serve(socket, sender))
}

async fn serve(mut socket: WebSocket, sender: Sender) {
    let mut texts = sender.subscribe();
    loop {
        tokio::select! {
            text = texts.recv() => {
                let Ok(text) = text else { return };
                if socket.send(Message::Text(text)).await.is_err() {
                    return;
                }
            }
            heard = socket.recv() => match heard {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
        }
    }
}
