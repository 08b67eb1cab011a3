// Watching metrics so that nothing is missed and nothing comes twice, however often the connection is lost: an example to
// copy, for browsers and Node.
//
// Every event carries a cursor. Whoever comes back with the last one as `after`, to any instance, goes on behind it. The
// cursor that counts is the one of the last event that was *handled*: keep it with what you made of the event.
import { createClient } from 'graphql-ws';

const STREAM = `
  subscription Watch($filter: StreamFilter!, $after: StreamCursor) {
    metricStream(filter: $filter, after: $after) {
      cursor
      isCaughtUp
      gap { missed reason isRecoverable }
      metrics { id endpoint value timestamp }
    }
  }
`;

export interface Metric {
  id: string;
  endpoint: string;
  value: number;
  timestamp: string;
}

export interface MetricEvent {
  /** Go on from here. */
  cursor: string;
  /** Whether nothing older is still to come. */
  isCaughtUp: boolean;
  /** What can no longer be had, because it is older than what the server keeps. */
  gap: { missed: number | null; reason: string; isRecoverable: boolean } | null;
  /** None in a sign of life. */
  metrics: Metric[];
}

export interface Options {
  /** The instances, tried in turn: any of them will do. */
  urls: string[];
  /** The variable `filter`: a cursor is good for the filter that it came from. */
  filter: Record<string, unknown>;
  /** Where to begin; from now on where there is none. */
  after?: string | undefined;
  /** Node before 22 has no WebSocket of its own. */
  webSocketImpl?: unknown;
}

/** The events of a stream, for ever. It throws what the server refuses: a wrong filter does not become right. */
export async function* watch({ urls, filter, after, webSocketImpl }: Options): AsyncGenerator<MetricEvent, never> {
  for (let attempt = 0; ; attempt += 1) {
    const url = urls[attempt % urls.length];
    if (url === undefined) throw new Error('no address to watch');
    // Its own retries would subscribe again with the variables of the beginning: here each attempt has the last cursor.
    const client = createClient({ url, webSocketImpl, retryAttempts: 0 });
    try {
      const variables = { filter, after: after ?? null };
      for await (const { data, errors } of client.iterate<{ metricStream: MetricEvent }>({ query: STREAM, variables })) {
        if (errors || !data) throw errors ?? new Error('an answer without data');
        yield data.metricStream;
        // Whoever took the event has handled it by asking for the next.
        after = data.metricStream.cursor;
      }
    } catch (failure) {
      // Errors of GraphQL come as a list; anything else is a connection that was lost: 1012 when the server restarts,
      // 4429 when we were too slow, or no word at all.
      if (Array.isArray(failure)) throw failure;
    } finally {
      await client.dispose();
    }
    await new Promise((resolve) => setTimeout(resolve, 100 + Math.random() * 400));
  }
}
