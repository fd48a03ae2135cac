import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { agentConfig } from '../../src/config.ts';
import { toGodwitError } from '../../src/errors.ts';
import { checkedSettings, keysAt, readJson } from '../../src/config/settings.ts';

const schema = z.strictObject({
  name: z.string(),
  limits: z.strictObject({ migrationsIn: z.number().int().default(8) }).prefault({}),
  storage: z
    .array(
      z.union(
        [z.strictObject({ path: z.string() }), z.strictObject({ nfs: z.string() })],
        'neither { path } nor { nfs }',
      ),
    )
    .default([]),
  peers: z.record(z.string(), z.strictObject({ address: z.string() })).default({}),
});

function problems(text: string): string[] {
  try {
    checkedSettings({ file: 'agent.json', text }, schema);
  } catch (thrown) {
    const error = toGodwitError(thrown);
    assert.equal(error.code, 'GODWIT_CONFIG');
    return error.message.replace(/^agent\.json: /, '').split('\n');
  }
  throw new Error('it was taken');
}

describe('a settings file', () => {
  test('a mistake is reported with line, column, setting, expected and actual value', () => {
    assert.deepEqual(problems('{\n  "name": 7,\n  "limits": { "migrationsIn": "8" }\n}'), [
      'line 2, column 11: `name`: expected string, got 7',
      'line 3, column 31: `limits.migrationsIn`: expected number, got "8"',
    ]);
  });

  test('a name that appears twice in one object is refused, with the place of the second one', () => {
    const text = `{ "name": "a", "peers": {
      "b": { "address": "10.0.0.2:7443" },
      "c": { "address": "10.0.0.3:7443" },
      "b": { "address": "10.0.0.4:7443" } }, "name": "z" }`;
    assert.deepEqual(problems(text), [
      'line 4, column 7: `peers.b` is there twice',
      'line 4, column 46: `name` is there twice',
    ]);
    const storage =
      '{ "name": "a", "storage": [{ "path": "/x", "path": "/y" }, { "path": "/x" }] }';
    assert.deepEqual(problems(storage), ['line 1, column 44: `storage.0.path` is there twice']);
  });

  test('a file with each name once is read, whatever its names and values hold', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value, undefined, 1);
        assert.deepEqual(readJson({ file: 'x.json', text }), JSON.parse(text));
      }),
    );
    const odd = { 'a"b:c': 'd\\', e: ['":', { f: ':"' }] };
    const text = JSON.stringify(odd);
    assert.deepEqual(readJson({ file: 'x.json', text }), odd);
  });

  test('an unknown setting is refused with the nearest known one, at every depth', () => {
    const text = `{ "name": "a", "limit": 1, "peers": { "b": { "address": "x", "adress": "y" } },
      "limits": { "migrationIn": 8 } }`;
    assert.deepEqual(problems(text), [
      'line 1, column 16: `limit` is no setting; did you mean `limits`?',
      'line 1, column 62: `peers.b.adress` is no setting; did you mean `address`?',
      'line 2, column 19: `limits.migrationIn` is no setting; did you mean `migrationsIn`?',
    ]);
  });

  test('a missing setting is reported at the place where it belongs', () => {
    assert.deepEqual(problems('{\n  "peers": { "b": {} }\n}'), [
      'line 1, column 1: `name`: expected string, but it is not there',
      'line 2, column 19: `peers.b.address`: expected string, but it is not there',
    ]);
  });

  test('an unknown setting of a value with several forms is named', () => {
    assert.deepEqual(problems('{ "name": "a", "storage": [{ "pth": "/x" }] }'), [
      'line 1, column 28: `storage.0`: neither { path } nor { nfs }, got an object',
      'line 1, column 30: `storage.0.pth` is no setting; did you mean `path`?',
    ]);
  });

  test('invalid JSON is reported with the place where it ends', () => {
    assert.deepEqual(problems('{\n  "name": "a",\n}'), [
      'is not JSON: line 3, column 1: property name expected',
    ]);
    assert.deepEqual(problems(''), ['is not JSON: line 1, column 1: value expected']);
    assert.deepEqual(problems('{ "name" "a" }'), [
      'is not JSON: line 1, column 10: colon expected',
    ]);
  });

  test('the first eight problems are named and the rest are counted', () => {
    const text = JSON.stringify({
      name: 'a',
      ...Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`x${at}`, 1])),
    });
    const said = problems(text);
    assert.equal(said.length, 9);
    assert.equal(said.at(-1), 'and 12 more');
  });

  test('any file is accepted, or refused by name', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.json(),
          fc.object().map((each) => JSON.stringify(each)),
        ),
        (text) => {
          try {
            checkedSettings({ file: 'f', text }, agentConfig);
          } catch (thrown) {
            assert.equal(toGodwitError(thrown).code, 'GODWIT_CONFIG');
          }
        },
      ),
    );
  });
});

test('the known settings of a schema are found below defaults, lists, records and unions', () => {
  assert.deepEqual(keysAt(agentConfig, ['storage', 0]), [
    'path',
    'locks',
    'devices',
    'make',
    'nfs',
    'user',
    'group',
    'iscsi',
    'initiator',
    'passwordFile',
    'rbd',
    'conf',
    'keyring',
  ]);
  assert.deepEqual(keysAt(agentConfig, ['peers', 'b']), ['address', 'addresses']);
  assert.deepEqual(keysAt(agentConfig, ['nothing']), []);
});
