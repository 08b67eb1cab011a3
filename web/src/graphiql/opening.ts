import { examples, explain } from './examples';
import { knownIds, withIds } from './ids';

/** The operation in the address: `/graphql?query=...&variables=...&operationName=...`. */
export interface Linked {
  query: string;
  variables?: string;
  operationName?: string;
}

/** A tab of GraphiQL. */
export interface Tab {
  query: string;
  variables?: string;
  headers: string;
}

/** What the page opens with. */
export interface Opening {
  linked?: Linked;
  /** The tabs of a first visit; afterwards the browser keeps whatever the visitor made of them. */
  tabs: Tab[];
}

export async function opening(): Promise<Opening> {
  const linked = linkedOperation(new URLSearchParams(window.location.search));
  const ids = await knownIds();
  const filled = examples.map(({ query, variables }) => ({
    query,
    variables: variables && withIds(variables, ids),
  }));
  const tabs = [...(linked ? [linked] : []), ...filled];
  return { linked, tabs: tabs.map(({ query, variables }) => ({ query, variables, headers: explain })) };
}

function linkedOperation(parameters: URLSearchParams): Linked | undefined {
  const query = parameters.get('query');
  if (!query) return undefined;
  return {
    query,
    variables: indented(parameters.get('variables')),
    operationName: parameters.get('operationName') || undefined,
  };
}

/** JSON with line breaks. Other text stays as it is, for the reader to mend. */
function indented(json: string | null): string | undefined {
  if (!json) return undefined;
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json;
  }
}
