import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { useGraphiQL } from '@graphiql/react';
import { GraphiQL } from 'graphiql';
import { useEffect } from 'react';
import { explain } from './examples';
import { fetcher } from './fetcher';
import type { Opening } from './opening';
import { RunAtOpen } from './run-at-open';

// Made once: GraphiQL compares plugins by identity. Naming any replaces its default list,
// so history is repeated here; the docs explorer is its `referencePlugin` and stays on.
const plugins = [HISTORY_PLUGIN, explorerPlugin()];

/** The width at which `page.css` puts everything into one column, without room for variables. */
const isNarrow = window.matchMedia('(max-width: 640px)').matches;

/** Wraps long lines of the operation, as GraphiQL wraps those of the answer. */
function WrappedLines() {
  const editor = useGraphiQL((state) => state.queryEditor);
  useEffect(() => editor?.updateOptions({ wordWrap: 'on' }), [editor]);
  return null;
}

export function Page({ linked, tabs }: Opening) {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      defaultTabs={tabs}
      // Adds a tab to those of an earlier visit, or goes to the one that has the operation already.
      initialQuery={linked?.query}
      initialVariables={linked?.variables}
      defaultHeaders={explain}
      // Open from the start, else the variables of the mutation example stay out of sight.
      defaultEditorToolsVisibility={isNarrow ? false : 'variables'}
      // Request headers can hold an API key, which has no business in localStorage.
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>perfgraph</GraphiQL.Logo>
      <WrappedLines />
      <RunAtOpen operationName={linked?.operationName} />
    </GraphiQL>
  );
}
