import { defineConfig } from 'vite';

export default defineConfig({
  // The server serves `dist/assets` at `/assets/`, whatever page asked for it.
  base: '/',
  build: {
    // The editors need class fields and `:has()`; every current browser has them.
    target: 'es2022',
    // Files only: the page runs under a strict CSP, and files cache better than data URLs.
    assetsInlineLimit: 0,
    // The polyfill is for browsers that `target` already leaves out.
    modulePreload: { polyfill: false },
    // Monaco is one big module graph; a warning at every build would be noise.
    chunkSizeWarningLimit: 3000,
    rolldownOptions: {
      // One entry a page. A new page is a new line here and an .html file beside this one.
      input: { graphiql: 'graphiql.html' },
      // React libraries mark files "use client", which means nothing here: hundreds of warnings.
      onLog(level, log, handler) {
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handler(level, log);
      },
    },
  },
  // The GraphQL worker imports modules lazily, which the default `iife` cannot express.
  worker: { format: 'es' },
});
