// Apollo Client as a frontend of this schema sets it up: ids are unique over all types, lists are Relay connections.
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { relayStylePagination } from '@apollo/client/utilities';
import { filter, firstValueFrom, map, timeout } from 'rxjs';

/** Pages of one list are joined; other arguments than the cursors make another list. */
const pages = () => relayStylePagination((args) => Object.keys(args ?? {}).filter((name) => !CURSORS.has(name)));
const CURSORS = new Set(['first', 'after', 'last', 'before']);

/** What `node(id)` and its like answer is in the cache once any list has brought it. */
const byId = (typename) => ({
  read: (existing, { args, toReference }) => existing ?? toReference({ __typename: typename, id: args.id }),
});

export const cache = () =>
  new InMemoryCache({
    possibleTypes: { Node: ['Employee', 'Metric', 'Organization', 'Project'] },
    typePolicies: {
      Query: {
        fields: {
          employees: pages(),
          organizations: pages(),
          projects: pages(),
          employee: byId('Employee'),
          project: byId('Project'),
        },
      },
      Organization: { fields: { employees: pages(), projects: pages() } },
    },
  });

/** A client and how many requests it has sent. */
export function connect(baseUrl, { link, ...options } = {}) {
  const sent = { requests: 0 };
  const count = new ApolloLink((operation, forward) => {
    sent.requests += 1;
    return forward(operation);
  });
  const http = new HttpLink({ uri: `${baseUrl}/graphql` });
  const client = new ApolloClient({ cache: cache(), link: ApolloLink.from([count, link ?? http]), ...options });
  return { client, sent };
}

/** What a watched query shows once it is complete and as it should be. */
export function shown(watched, isShown) {
  const settled = filter(({ dataState, loading, data }) => dataState === 'complete' && !loading && isShown(data));
  return firstValueFrom(watched.pipe(settled, map(({ data }) => data), timeout(20_000)));
}
