/** Words that begin a line. */
const CLAUSES = [
  'CROSS JOIN',
  'EXCEPT',
  'FROM',
  'FULL JOIN',
  'GROUP BY',
  'HAVING',
  'INNER JOIN',
  'INTERSECT',
  'JOIN',
  'LEFT JOIN',
  'LIMIT',
  'OFFSET',
  'ON CONFLICT',
  'ORDER BY',
  'RETURNING',
  'SELECT',
  'SET',
  'UNION',
  'VALUES',
  'WHERE',
].map((clause) => clause.split(' '));
/** Words that belong to the following word of a clause: `INNER JOIN`, `DELETE FROM`, `IS DISTINCT FROM`. */
const PREFIXES = new Set(['CROSS', 'DELETE', 'DISTINCT', 'FULL', 'INNER', 'LEFT']);
/** Words that begin a statement in parentheses. Other parentheses (calls, lists) are not broken into lines. */
const STATEMENTS = new Set(['DELETE', 'INSERT', 'SELECT', 'UPDATE', 'WITH']);
/** Plain names that need no quotes, apart from words that SQL reserves. */
const PLAIN = /^"(?!(?:from|to|end|order|group|user|table|limit|check|default|when|where)")[a-z_][a-z0-9_]*"$/;
/** White space, quoted text, placeholders, words, and single other characters. */
const TOKEN = /\s+|'(?:[^']|'')*'|"[^"]*"|[$?]\d*|\w+|[^]/g;

/** The statement as lines: one for each clause, indented in nested statements. Quotes of plain names are left out. */
export function clauses(sql: string): string[] {
  const tokens = sql.match(TOKEN) ?? [];
  const words = tokens.filter((token) => token.trim() !== '');
  const lines: string[] = [];
  let line = '';
  const begin = (depth: number) => {
    if (line.trim() !== '') lines.push(line.trimEnd());
    line = '  '.repeat(depth);
  };
  // One entry for each open parenthesis: true if it holds a statement.
  const open: boolean[] = [];
  let place = 0;
  for (const token of tokens) {
    if (token.trim() === '') {
      if (line.trim() !== '') line += ' ';
      continue;
    }
    const depth = open.filter(Boolean).length;
    const isInStatement = open.at(-1) ?? true;
    if (token === '(') {
      const isStatement = STATEMENTS.has(words[place + 1] ?? '');
      open.push(isStatement);
      line += '(';
      if (isStatement) begin(2 * depth + 2);
    } else if (token === ')') {
      if (open.pop()) begin(2 * depth - 1);
      line += ')';
    } else {
      const begins = CLAUSES.some((clause) => clause.every((word, at) => words[place + at] === word));
      if (begins && isInStatement && !PREFIXES.has(words[place - 1] ?? '')) {
        begin(2 * depth + (STATEMENTS.has(token) ? 0 : 1));
      }
      line += PLAIN.test(token) ? token.slice(1, -1) : token;
    }
    place += 1;
  }
  begin(0);
  return lines;
}
