import { endpoint } from './endpoint';

/** Ids for the variables of the examples: of the project with the slowest endpoint, or of any project. */
const QUERY = `{
  slowestEndpoints(first: 1) { project { ...ids } }
  projects(first: 1) { nodes { ...ids } }
}
fragment ids on Project { id organization { id } releases(first: 1) { nodes { id } } }`;

/** An answer that takes longer must not keep the page from opening. */
const PATIENCE_MS = 2_000;

interface Project {
  id: string;
  organization: { id: string } | null;
  releases: { nodes: { id: string }[] };
}

interface Answer {
  data?: { slowestEndpoints: { project: Project | null }[]; projects: { nodes: Project[] } } | null;
}

/** The ids by name. Empty without data, without permission and without a server. */
export async function knownIds(): Promise<Record<string, string | undefined>> {
  try {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: QUERY }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const { data } = (await response.json()) as Answer;
    const project = data?.slowestEndpoints[0]?.project ?? data?.projects.nodes[0];
    return {
      project: project?.id,
      organization: project?.organization?.id,
      release: project?.releases.nodes[0]?.id,
    };
  } catch {
    return {};
  }
}

/** Writes ids into the variables of an example. One that is not known stays a hint. */
export function withIds(variables: string, ids: Record<string, string | undefined>): string {
  return variables.replace(/<(\w+)>/g, (_, name: string) => ids[name] ?? `an id of a ${name}`);
}
