// Usage: generate.mjs [URL]
//
// graphql-codegen's client preset over the documents in codegen/src and schema.graphql, into target/test-output/codegen. With the
// URL of a server, the schema is read from there, as graphql-codegen does, and the output is target/test-output/codegen-by-url.
// Every scalar of the schema must be mapped to a type.
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

import { preset } from '@graphql-codegen/client-preset';
import { codegen } from '@graphql-codegen/core';
import { CodeFileLoader } from '@graphql-tools/code-file-loader';
import { GraphQLFileLoader } from '@graphql-tools/graphql-file-loader';
import { loadDocuments, loadSchema } from '@graphql-tools/load';
import { UrlLoader } from '@graphql-tools/url-loader';
import { fetch } from '@whatwg-node/fetch';
import { parse, printSchema } from 'graphql';

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
const url = process.argv[2];
const output = path(`../../../target/test-output/${url ? 'codegen-by-url' : 'codegen'}/`);

/** The schema of a server. Newer releases of this fetch ask for zstd also on Node.js 20, which cannot read it. */
async function introspected() {
  const encodings = [];
  const schema = await loadSchema(url, {
    loaders: [new UrlLoader()],
    inputValueDeprecation: true,
    oneOf: true,
    headers: { 'accept-encoding': 'gzip, deflate, br, zstd' },
    async customFetch(...parameters) {
      const response = await fetch(...parameters);
      encodings.push(response.headers.get('content-encoding'));
      return response;
    },
  });
  assert.deepEqual(encodings, ['br']);
  return schema;
}

const schema = path('../../../schema.graphql');
const schemaAst = url ? await introspected() : await loadSchema(schema, { loaders: [new GraphQLFileLoader()] });
const loader = new CodeFileLoader({ pluckConfig: { skipIndent: true } });
const documents = await loadDocuments(path('src/**/*.ts'), { loaders: [loader] });
const files = await preset.buildGeneratesSection({
  baseOutputDir: output,
  schema: parse(url ? printSchema(schemaAst) : await readFile(schema, 'utf8')),
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
