import { clauses } from './sql';

/** `extensions.db` as the server sends it with the header `perfgraph-explain`. */
interface Database {
  sql: { sql: string; rows: number; ms: number }[];
}

/** The answer with the statements of `extensions.db` as lists of lines. Anything else stays as it is. */
export function readable<T>(answer: T): T {
  const extensions = (answer as { extensions?: { db?: Database } } | null)?.extensions;
  const database = extensions?.db;
  if (!Array.isArray(database?.sql)) return answer;
  const sql = database.sql.map(({ sql, rows, ms }) => ({ rows, ms: rounded(ms), sql: clauses(sql) }));
  const ms = rounded(database.sql.reduce((sum, statement) => sum + statement.ms, 0));
  return { ...answer, extensions: { ...extensions, db: { ...database, ms, sql } } };
}

/** Microseconds are noise. */
const rounded = (ms: number) => Math.round(ms * 100) / 100;
