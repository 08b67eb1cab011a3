import { explorerPlugin } from '@graphiql/plugin-explorer';
import { HISTORY_PLUGIN } from '@graphiql/plugin-history';
import { GraphiQL } from 'graphiql';
import { examples, explain } from './examples';
import { fetcher } from './fetcher';

// Made once: GraphiQL compares plugins by identity. Naming any replaces its default list,
// so history is repeated here; the docs explorer is its `referencePlugin` and stays on.
const plugins = [HISTORY_PLUGIN, explorerPlugin()];

export function Page() {
  return (
    <GraphiQL
      fetcher={fetcher}
      plugins={plugins}
      defaultTabs={examples}
      defaultHeaders={explain}
      // Open from the start, else the variables of the mutation example stay out of sight.
      defaultEditorToolsVisibility="variables"
      // Request headers can hold an API key, which has no business in localStorage.
      shouldPersistHeaders={false}
      showPersistHeadersSettings={false}
    >
      <GraphiQL.Logo>perfgraph</GraphiQL.Logo>
    </GraphiQL>
  );
}
