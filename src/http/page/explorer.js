// Hand-written on purpose: it works in a plain `cargo run`, without Node and without a bundle.
const answer = document.getElementById("answer");
const stop = document.getElementById("stop");
let socket;

const show = (value) => {
  answer.textContent = JSON.stringify(value, null, 2);
};

const ask = async (query) => {
  const response = await fetch("/graphql", {
    method: "POST",
    headers: { "content-type": "application/json", "perfgraph-explain": "1" },
    body: JSON.stringify({ query }),
  });
  return response.json();
};

const operation = document.getElementById("document");
const run = async () => show(await ask(operation.value));

document.getElementById("run").addEventListener("click", run);
// The page opens with an answer. An operation of the address waits for a click: it could be a mutation.
const linked = new URLSearchParams(location.search).get("query");
if (linked) operation.value = linked;
else run();

document.getElementById("subscribe").addEventListener("click", async () => {
  socket?.close();
  // A stream contains the server's own requests only if it names their organization.
  const { data } = await ask('{ organization(slug: "perfgraph") { id } }');
  if (!data?.organization) {
    answer.textContent = "this server does not record its requests (self_monitoring.enabled = false)";
    return;
  }
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/graphql`, "graphql-transport-ws");
  stop.disabled = false;
  answer.textContent = "waiting for metrics …";
  const query =
    "subscription ($own: ID) { metricStream(filter: { organizationId: $own }) { metrics { timestamp type endpoint value statusCode } } }";
  const variables = { own: data.organization.id };
  socket.onopen = () => socket.send(JSON.stringify({ type: "connection_init" }));
  socket.onmessage = ({ data }) => {
    const message = JSON.parse(data);
    if (message.type === "connection_ack") {
      socket.send(JSON.stringify({ id: "1", type: "subscribe", payload: { query, variables } }));
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
