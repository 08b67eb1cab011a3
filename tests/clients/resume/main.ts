// Prints the value of each metric that comes, until so many came.
import { WebSocket } from 'ws';

import { watch } from './watch.js';

declare const process: { argv: string[]; exit(code: number): never };

const [urls, filter, after, count] = process.argv.slice(2) as [string, string, string, string];
let left = Number(count);
for await (const event of watch({ urls: urls.split(','), filter: JSON.parse(filter), after, webSocketImpl: WebSocket })) {
  if (event.gap) throw new Error(`${event.gap.missed} metrics are missing`);
  for (const { value } of event.metrics) console.log(JSON.stringify(value));
  left -= event.metrics.length;
  if (left <= 0) process.exit(0);
}
