// Hand-written on purpose: it works in a plain `cargo run`, without Node and without a bundle.
const answer = document.getElementById("answer");
const stop = document.getElementById("stop");
let socket;

const show = (value) => {
  answer.textContent = JSON.stringify(value, null, 2);
};

document.getElementById("run").addEventListener("click", async () => {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", "perfgraph-explain": "1" },
    body: JSON.stringify({ query: document.getElementById("document").value }),
  });
  show(await response.json());
});

document.getElementById("subscribe").addEventListener("click", () => {
  socket?.close();
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/graphql`, "graphql-transport-ws");
  stop.disabled = false;
  answer.textContent = "waiting for metrics …";
  const query = "subscription { metricStream(filter: {}) { metrics { timestamp type endpoint value statusCode } } }";
  socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "connection_ack") {
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query } }));
    } else if (message.type === "ping") {
      socket.send(JSON.stringify({ type: "pong" }));
    } else if (message.payload) {
      show(message.payload);
    }
  };
  socket.onclose = () => {
    stop.disabled = true;
  };
});

stop.addEventListener("click", () => socket?.close());
