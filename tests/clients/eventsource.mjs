// Usage: eventsource.mjs BASE_URL PAGE_PORT PROJECT_ID
//
// The EventSource of a real Chromium watches a project from a page of another origin, http://localhost:PAGE_PORT. Its connection
// is cut twice, before the first event and after one. It reconnects by itself and sees every measurement once, in order.
import assert from 'node:assert/strict';
import { createServer as createPages } from 'node:http';
import { connect, createServer } from 'node:net';
import test from 'node:test';

import { chromium } from 'playwright-core';

const [base, pagePort, project] = process.argv.slice(2);
const target = new URL(base);
const TIMEOUT_MS = 60_000;

/** Connections to the server that can be cut, and what browsers send over them. */
const sockets = new Set();
const heads = [];
const proxy = createServer((near) => {
  const far = connect(Number(target.port), target.hostname);
  near.on('data', (chunk) => heads.push(chunk.toString('latin1')));
  for (const [socket, other] of [[near, far], [far, near]]) {
    sockets.add(socket);
    socket.on('error', () => other.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      other.destroy();
    });
    socket.pipe(other);
  }
});
const cut = () => sockets.forEach((socket) => socket.destroy());

async function record(...values) {
  const lines = values.map((value) => JSON.stringify({ type: 'CUSTOM', endpoint: 'sse', value }));
  const response = await fetch(`${base}/ingest/v1/metrics?project=${project}`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
  assert.equal(response.status, 200, await response.text());
}

const listening = (server, port, host) => new Promise((resolve) => server.listen(port, host, resolve));

test('an EventSource that reconnects misses nothing', { timeout: TIMEOUT_MS }, async (t) => {
  const pages = createPages((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html>'));
  await Promise.all([listening(pages, Number(pagePort)), listening(proxy, 0, '127.0.0.1')]);
  // No sandbox: tests run as root in containers.
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking'],
  });
  t.after(async () => {
    await browser.close();
    cut();
    proxy.close();
    pages.close();
  });
  const page = await browser.newPage();
  await page.goto(`http://localhost:${pagePort}/`);
  const query = `subscription { metricStream(filter: { projectIds: ["${project}"] }) { metrics { value } } }`;
  await page.evaluate((url) => {
    const seen = { opened: 0, values: [] };
    globalThis.seen = seen;
    const source = new EventSource(url);
    source.onopen = () => (seen.opened += 1);
    source.addEventListener('next', ({ data }) => {
      seen.values.push(...JSON.parse(data).data.metricStream.metrics.map(({ value }) => value));
    });
  }, `http://127.0.0.1:${proxy.address().port}/graphql?query=${encodeURIComponent(query)}`);
  const until = (opened, count) =>
    page.waitForFunction(([opened, count]) => seen.opened >= opened && seen.values.length >= count, [opened, count], { timeout: TIMEOUT_MS });

  await until(1, 0);
  // The browser takes in what it got before the connection is cut: the id of the start.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 200)));
  cut();
  await record(1, 2);
  await until(2, 2);
  await record(3);
  await until(2, 3);
  cut();
  await record(4);
  await record(5);
  await until(3, 5);
  await record(6);
  await until(3, 6);
  assert.deepEqual(await page.evaluate(() => seen.values), [1, 2, 3, 4, 5, 6]);
  const requests = heads.filter((head) => / \/graphql/.test(head));
  assert.deepEqual(requests.map((head) => head.split(' ')[0]), ['GET', 'GET', 'GET'], 'no preflight request');
  assert.deepEqual(requests.map((head) => /^last-event-id: \S+/im.test(head)), [false, true, true]);
});
