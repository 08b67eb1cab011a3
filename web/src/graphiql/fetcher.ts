import { createGraphiQLFetcher, type Fetcher, type FetcherParams } from '@graphiql/toolkit';
import { Kind, parse } from 'graphql';
import { endpoint } from './endpoint';
import { readable } from './explained';

const ws = new URL(endpoint);
ws.protocol = endpoint.protocol === 'https:' ? 'wss:' : 'ws:';

const send = createGraphiQLFetcher({
  url: endpoint.href,
  // An address, not a ready client: the toolkit then sends the headers pane as
  // `connection_init` payload, so one API key serves queries and subscriptions.
  subscriptionUrl: ws.href,
  // The server has no @defer; off, `Accept` is application/graphql-response+json.
  enableIncrementalDelivery: false,
});

export const fetcher: Fetcher = async (params, options) => readable(await send(existing(params), options));

/**
 * The request without the name of an operation that its document does not contain. For a moment after a change of tabs,
 * GraphiQL sends the name from the tab before.
 */
function existing(params: FetcherParams): FetcherParams {
  if (!params.operationName) return params;
  try {
    const names = parse(params.query).definitions.flatMap((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION ? [definition.name?.value] : [],
    );
    return names.includes(params.operationName) ? params : { ...params, operationName: names[0] };
  } catch {
    // The server explains syntax errors better.
    return params;
  }
}
