import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agentContract } from '../../../src/protocol/contract.ts';
import { moverContract } from '../../../src/protocol/mover/contract.ts';
import { peerContract } from '../../../src/protocol/peer/contract.ts';
import { openApi } from '../../../src/protocol/public/openapi.ts';

interface Operation {
  operationId: string;
  parameters?: { name: string; in: string; required: boolean }[];
  requestBody?: { required: boolean };
  responses: Record<string, { content: Record<string, { schema: object }> }>;
}

function operations(contract: Parameters<typeof openApi>[0]): Map<string, Operation> {
  const { paths } = openApi(contract, 'A title') as {
    paths: Record<string, Record<string, Operation>>;
  };
  const all = Object.values(paths).flatMap((methods) => Object.values(methods));
  return new Map(all.map((operation) => [operation.operationId, operation]));
}

for (const [name, contract] of Object.entries({ agentContract, moverContract, peerContract })) {
  test(`${name} becomes a document in which each route has its answer and its error`, () => {
    const found = operations(contract);
    assert.deepEqual([...found.keys()].toSorted(), Object.keys(contract).toSorted());
    for (const [key, route] of Object.entries(contract)) {
      const operation = found.get(key);
      assert.equal(operation?.requestBody !== undefined, route.body !== undefined, key);
      const type = route.stream ? 'application/x-ndjson' : 'application/json';
      assert.ok(operation?.responses['200']?.content[type], key);
      assert.ok(operation?.responses['default'], key);
    }
  });
}

test('places in a path and fields of a query become parameters', () => {
  const found = operations(agentContract);
  const parameters = (key: string) =>
    found.get(key)?.parameters?.map((each) => [each.name, each.in, each.required]);
  assert.deepEqual(parameters('progress'), [['id', 'path', true]]);
  assert.deepEqual(parameters('migrations'), [['limit', 'query', false]]);
  assert.equal(parameters('health'), undefined);
});

test('the document is plain JSON', () => {
  const document = openApi(agentContract, 'A title');
  assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
});
