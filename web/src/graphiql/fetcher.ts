import { createGraphiQLFetcher } from '@graphiql/toolkit';

// Same origin always: the page works behind any host name and the CSP allows nothing else.
const http = new URL('/graphql', window.location.href);
const ws = new URL(http);
ws.protocol = http.protocol === 'https:' ? 'wss:' : 'ws:';

export const fetcher = createGraphiQLFetcher({
  url: http.href,
  // An address, not a ready client: the toolkit then sends the headers pane as
  // `connection_init` payload, so one API key serves queries and subscriptions.
  subscriptionUrl: ws.href,
  // The server has no @defer; off, `Accept` is application/graphql-response+json.
  enableIncrementalDelivery: false,
});
