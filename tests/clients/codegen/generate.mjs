// Usage: generate.mjs
//
// graphql-codegen's client preset over the documents in codegen/src and schema.graphql, into target/test-output/codegen.
// Every scalar of the schema must be mapped to a type.
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { CodeFileLoader } from '@graphql-tools/code-file-loader';
import { GraphQLFileLoader } from '@graphql-tools/graphql-file-loader';
import { loadDocuments, loadSchema } from '@graphql-tools/load';
import { parse } from 'graphql';

import { emptied } from '../output.mjs';

/** As they are in JSON. */
const SCALARS = {
  ID: 'string',
  DateTime: 'string',
  Duration: 'string',
  Long: 'number',
  // Not just any text: what came as a cursor goes back as one.
  StreamCursor: "string & { readonly __scalar: 'StreamCursor' }",
};

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const output = path('../../../target/test-output/codegen/');
const schema = path('../../../schema.graphql');
const schemaAst = await loadSchema(schema, { loaders: [new GraphQLFileLoader()] });
const loader = new CodeFileLoader({ pluckConfig: { skipIndent: true } });
const documents = await loadDocuments(path('src/**/*.ts'), { loaders: [loader] });
const files = await preset.buildGeneratesSection({
  baseOutputDir: output,
  schema: parse(await readFile(schema, 'utf8')),
  schemaAst,
  documents,
  config: { scalars: SCALARS, strictScalars: true, useTypeImports: true },
  presetConfig: {},
  plugins: [],
  pluginMap: {},
});
await emptied(output);
for (const file of files) await writeFile(file.filename, await codegen(file));
console.log(`${documents.length} documents, ${files.length} files generated`);
