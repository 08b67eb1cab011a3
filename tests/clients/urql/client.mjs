// urql with Graphcache, as a frontend of this schema sets it up: normalised, aware of the schema, Relay paging.
import { Client, fetchExchange } from '@urql/core';
import { cacheExchange } from '@urql/exchange-graphcache';
import { relayPagination } from '@urql/exchange-graphcache/extras';
import { getIntrospectionQuery } from 'graphql';

/** The schema as the server tells it; an application would keep it in a file. */
export async function introspect(baseUrl) {
  const response = await fetch(`${baseUrl}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: getIntrospectionQuery({ descriptions: false, inputValueDeprecation: true, oneOf: true }) }),
  });
  const { data, errors } = await response.json();
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

/** Only nodes have a place of their own in the cache; everything else lies inside of what it belongs to. */
function keys({ __schema: schema }) {
  const embedded = schema.types.filter(
    ({ kind, name, fields }) =>
      kind === 'OBJECT' && !name.startsWith('__') && !fields.some((field) => field.name === 'id'),
  );
  return Object.fromEntries(embedded.map(({ name }) => [name, () => null]));
}

/** Every list with cursors, of whatever type. */
function connections({ __schema: schema }) {
  const resolvers = {};
  for (const { kind, name, fields } of schema.types) {
    if (kind !== 'OBJECT') continue;
    for (const field of fields) {
      const isPaged = field.args.some((argument) => argument.name === 'after');
      if (isPaged && field.type.ofType?.name?.endsWith('Connection')) {
        resolvers[name] = { ...resolvers[name], [field.name]: relayPagination() };
      }
    }
  }
  return resolvers;
}

/** A client and how many requests it has sent. Graphcache warns of what does not fit the schema; here that fails. */
export async function connect(baseUrl, { updates, resolvers } = {}) {
  const schema = await introspect(baseUrl);
  const sent = { requests: 0 };
  const cache = cacheExchange({
    schema,
    keys: keys(schema),
    resolvers: { ...connections(schema), Query: { ...connections(schema).Query, ...resolvers } },
    updates,
    logger: (severity, message) => {
      if (severity !== 'debug') throw new Error(`graphcache ${severity}: ${message}`);
    },
  });
  const client = new Client({
    url: `${baseUrl}/graphql`,
    exchanges: [cache, fetchExchange],
    preferGetMethod: false,
    fetch: (url, options) => {
      sent.requests += 1;
      return fetch(url, options);
    },
  });
  return { client, sent };
}
