import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import fc from 'fast-check';
import { ERRORS } from '../../../src/errors.ts';
import { agentContract, publicContract } from '../../../src/protocol/contract.ts';
import { moverContract } from '../../../src/protocol/mover/contract.ts';
import { peerContract } from '../../../src/protocol/peer/contract.ts';
import { answerType, type Route } from '../../../src/protocol/route.ts';
import { openApi } from '../../../src/protocol/public/openapi.ts';
import { errorsOf } from '../../../src/protocol/route-errors.ts';
import { valuesOf } from '../arbitrary.ts';

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
  test(`the document of ${name} has an answer and an error for each route`, () => {
    const found = operations(contract);
    assert.deepEqual([...found.keys()].toSorted(), Object.keys(contract).toSorted());
    for (const [key, route] of Object.entries<Route>(contract)) {
      const operation = found.get(key);
      assert.equal(operation?.requestBody !== undefined, route.body !== undefined, key);
      const type = answerType(route);
      assert.ok(operation?.responses['200']?.content[type], key);
      const errors = errorsOf(route);
      const wanted = errors?.map((code) => String(ERRORS[code].http)) ?? ['default'];
      const answers = Object.keys(operation?.responses ?? {});
      assert.deepEqual(answers.toSorted(), [...new Set(['200', ...wanted])].toSorted(), key);
    }
  });
}

test('parameters in a path and fields of a query become parameters', () => {
  const found = operations(agentContract);
  const parameters = (key: string) =>
    found.get(key)?.parameters?.map((each) => [each.name, each.in, each.required]);
  assert.deepEqual(parameters('progress'), [['id', 'path', true]]);
  assert.deepEqual(parameters('migrations'), [
    ['scope', 'query', false],
    ['limit', 'query', false],
    ['cursor', 'query', false],
  ]);
  assert.equal(parameters('health'), undefined);
});

test('the document is plain JSON', () => {
  const document = openApi(agentContract, 'A title');
  assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
});

test('an independent validator accepts each document', async () => {
  for (const contract of [publicContract, agentContract, moverContract, peerContract]) {
    const document: Record<string, unknown> = JSON.parse(
      JSON.stringify(openApi(contract, 'A title')),
    );
    const { valid, errors } = await new Validator().validate(document);
    assert.deepEqual({ valid, errors }, { valid: true, errors: undefined });
  }
});

test('the public document has no message between agents or movers', () => {
  const found = operations(publicContract);
  const inner = Object.entries(agentContract).filter(
    ([, { access }]) => access === 'agent' || access === 'member',
  );
  assert.ok(inner.length > 0);
  for (const [key] of inner) assert.equal(found.has(key), false, key);
});

test("another library accepts the contract's values by the document alone", () => {
  const document = openApi(publicContract, 'A title');
  const ajv = new Ajv2020({ strict: true, strictTypes: false, validateFormats: false });
  const { components } = JSON.parse(JSON.stringify(document));
  ajv.addVocabulary(['components']);
  const own = JSON.parse(
    JSON.stringify(components.schemas).replaceAll('"#/', '"https://api.test/#/'),
  );
  ajv.addSchema({ $id: 'https://api.test/', components: { schemas: own } });
  const compile = (schema: object) => {
    const text = JSON.stringify(schema).replaceAll(
      '"#/components',
      '"https://api.test/#/components',
    );
    return ajv.compile(JSON.parse(text));
  };
  const all = operations(publicContract);
  for (const [key, route] of Object.entries(publicContract)) {
    const type = answerType(route);
    const schema = all.get(key)?.responses['200']?.content[type]?.schema;
    assert.ok(schema, key);
    const takes = compile(schema);
    fc.assert(
      fc.property(valuesOf(route.response), (value) => {
        const sent = JSON.parse(JSON.stringify(route.response.parse(value)));
        assert.ok(takes(sent), `${key}: ${ajv.errorsText(takes.errors)}`);
      }),
      { numRuns: 20 },
    );
  }
});

test('messages that programs turn into types have names', () => {
  const { components } = openApi(publicContract, 'A title') as {
    components: { schemas: Record<string, object>; securitySchemes: object };
  };
  const names = ['Error', 'Guest', 'Host', 'Migration', 'Report', 'Resolution'];
  for (const name of names) assert.ok(components.schemas[name], name);
  assert.deepEqual(Object.keys(components.securitySchemes), ['certificate', 'unixSocket']);
  const whole = JSON.stringify(components);
  for (const [, name = ''] of whole.matchAll(/#\/components\/schemas\/(\w+)/g)) {
    assert.ok(components.schemas[name], name);
  }
});

test("each route's security lists the allowed callers", () => {
  const all = operations(publicContract) as Map<string, Operation & { security: object[] }>;
  assert.deepEqual(all.get('health')?.security, []);
  assert.deepEqual(all.get('migrate')?.security, [
    { certificate: ['operator'] },
    { unixSocket: [] },
  ]);
  assert.deepEqual(all.get('seedCache')?.security, [{ unixSocket: [] }]);
});
