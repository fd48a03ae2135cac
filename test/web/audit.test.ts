import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { keptArguments } from '../../src/controller/audit/arguments.ts';
import { argumentLines, isSince, resultOf } from '../../web/src/audit/text.ts';

test('arguments have a line for each value, and a cut value stays as it is', () => {
  const text = keptArguments({
    params: { id: 'r-1' },
    body: { kind: 'drain', hosts: ['a', 'b'], settings: { parallel: 4 }, force: null },
  });
  assert.deepEqual(argumentLines(text), [
    'params.id: r-1',
    'body.kind: drain',
    'body.hosts: a, b',
    'body.settings.parallel: 4',
    'body.force: null',
  ]);
  assert.deepEqual(argumentLines('{"body":{"name":"an…'), ['{"body":{"name":"an…']);
});

test('every stored argument is shown, whatever it is', () => {
  const values = fc.oneof(fc.integer(), fc.boolean(), fc.stringMatching(/^[a-z]{1,8}$/));
  const bodies = fc.dictionary(
    fc.stringMatching(/^[a-z]{1,6}$/),
    fc.oneof(values, fc.array(values, { minLength: 1, maxLength: 4 }), fc.record({ deep: values })),
    { minKeys: 1, maxKeys: 6 },
  );
  fc.assert(
    fc.property(bodies, (body) => {
      const shown = argumentLines(JSON.stringify({ body })).join('\n');
      const leaves = JSON.stringify(body).match(/(?<=[:[,])[^:[\]{},]+(?=[\]},])/g) ?? [];
      for (const leaf of leaves) assert.ok(shown.includes(leaf.replaceAll('"', '')), shown);
    }),
  );
});

test('an entry without an end is not shown as done, and one that was refused has its code', () => {
  assert.equal(resultOf({}).words, 'result unknown');
  assert.equal(resultOf({ result: 'ok' }).tone, 'good');
  assert.deepEqual(
    [resultOf({ result: 'GODWIT_STORE' }).words, resultOf({ result: 'GODWIT_STORE' }).tone],
    ['GODWIT_STORE', 'bad'],
  );
});

test("the address selects one of the page's moments, and nothing else", () => {
  assert.deepEqual(['hour', 'week', 'toString', null].map(isSince), [true, true, false, false]);
});
