import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { type DocumentNode, Kind, type OperationDefinitionNode, OperationTypeNode } from 'graphql';
import { useEffect, useRef } from 'react';

/**
 * Runs the operation that the page opens with, so that a visitor sees an answer at once. Queries only: a link must not change
 * data, and a stream would go on unasked.
 */
export function RunAtOpen({ operationName }: { operationName?: string }) {
  const { run, setOperationName } = useGraphiQLActions();
  const isReady = useGraphiQL(
    (state) => !!(state.queryEditor && state.variableEditor && state.headerEditor && state.responseEditor),
  );
  const document = useGraphiQL((state) => state.documentAST);
  const hasRun = useRef(false);
  useEffect(() => {
    if (!isReady || !document || hasRun.current) return;
    hasRun.current = true;
    const operation = chosen(document, operationName);
    if (operation?.operation !== OperationTypeNode.QUERY) return;
    if (operation.name) setOperationName(operation.name.value);
    run();
  }, [isReady, document, operationName, run, setOperationName]);
  return null;
}

function chosen(document: DocumentNode, name?: string): OperationDefinitionNode | undefined {
  const operations = document.definitions.filter((definition) => definition.kind === Kind.OPERATION_DEFINITION);
  return name ? operations.find((operation) => operation.name?.value === name) : operations[0];
}
