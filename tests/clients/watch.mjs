// What a page does behind its looks.

/**
 * Collects every sign of trouble in `context`: requests and sockets to any host but `host`,
 * failed requests, console errors (workers included), uncaught exceptions, CSP violations.
 * `counts` tells how much was watched, so that silence can be told from blindness.
 */
export async function watch(context, host) {
  const problems = [];
  const counts = { requests: 0, sockets: 0, workers: 0 };
  const foreign = (url) => {
    const { protocol, host: target } = new URL(url);
    return protocol !== 'data:' && protocol !== 'blob:' && target !== host;
  };

  context.on('request', (request) => {
    counts.requests += 1;
    if (foreign(request.url())) problems.push(`foreign request: ${request.url()}`);
  });
  context.on('requestfailed', (request) => {
    problems.push(`request failed: ${request.url()} ${request.failure()?.errorText}`);
  });
  context.on('console', (message) => {
    if (message.type() === 'error')
      problems.push(`console error: ${message.text()} (${message.location().url})`);
  });
  context.on('weberror', (error) => problems.push(`uncaught: ${error.error().message}`));
  context.on('page', (page) => {
    page.on('worker', () => (counts.workers += 1));
    page.on('websocket', (socket) => {
      counts.sockets += 1;
      if (foreign(socket.url())) problems.push(`foreign socket: ${socket.url()}`);
      socket.on('socketerror', (error) => problems.push(`socket error: ${error}`));
    });
  });

  // The console shows most violations as text; the event is the sure sign.
  await context.exposeFunction('__cspViolation', (text) => problems.push(`CSP violation: ${text}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      globalThis.__cspViolation(`${event.effectiveDirective} ${event.blockedURI}`);
    });
  });
  return { problems, counts };
}
