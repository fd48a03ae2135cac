import assert from 'node:assert/strict';
import { test } from 'node:test';
import { godwitError } from '../../../src/errors.ts';
import { pass, refusal, throwRefusal, warn } from '../../../src/migration/preflight/check.ts';
import { check } from '../../../src/protocol/public/migration.ts';

const error = godwitError('GODWIT_NAME_IN_USE', { host: 'b', guest: 'web1' });

test('a check has its name, its side and its evidence', () => {
  const all = [
    pass('state', 'it runs'),
    warn('user', 'QEMU runs as root', 'Give it a user.', 'destination'),
    refusal('name', error, 'destination'),
  ];
  assert.deepEqual(
    all.map(({ name, side, verdict, evidence }) => [name, side, verdict, evidence]),
    [
      ['state', 'source', 'pass', 'it runs'],
      ['user', 'destination', 'warn', 'QEMU runs as root'],
      ['name', 'destination', 'refuse', 'b already has a guest called web1'],
    ],
  );
  for (const each of all) assert.deepEqual(check.parse(each), each);
});

test('the first refusal is thrown, and warnings are not', () => {
  const second = refusal('name', godwitError('GODWIT_NAME_IN_USE', { host: 'c', guest: 'web2' }));
  throwRefusal([pass('state', 'it runs'), warn('user', 'root', 'fix it')]);
  assert.throws(() => throwRefusal([pass('state', 'it runs'), refusal('name', error), second]), {
    code: 'GODWIT_NAME_IN_USE',
    facts: { host: 'b', guest: 'web1' },
  });
});
