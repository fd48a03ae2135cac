import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  address,
  guestName,
  hostName,
  migrationId,
  splitAddress,
} from '../../src/protocol/names.ts';

const names = { hostName, guestName, migrationId };

describe('a name', () => {
  test('a name has no character with a meaning in a path, a shell or an option', () => {
    const bad = [
      '',
      '.',
      '..',
      '../x',
      'a/b',
      'a\\b',
      '-rf',
      '.x',
      'a b',
      'a\n',
      'a\0',
      'a;b',
      '$x',
    ];
    for (const [kind, schema] of Object.entries(names)) {
      for (const text of [...bad, 'a\u00e9', 'a*', '~', "a'b", 'a"b', 'a`b', 'x'.repeat(64)]) {
        assert.equal(schema.safeParse(text).success, false, `${kind}: ${JSON.stringify(text)}`);
      }
    }
  });

  test('an accepted name is safe as one part of a path', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.stringMatching(/^[\w./-]*$/), (one, other) => {
        for (const schema of Object.values(names)) {
          for (const text of [one, other]) {
            if (schema.safeParse(text).success) assert.match(text, /^[A-Za-z0-9][A-Za-z0-9._-]*$/);
          }
        }
      }),
    );
  });

  test('a usual name is accepted', () => {
    for (const text of ['a', 'rack-07-host12', '0']) assert.equal(hostName.parse(text), text);
    for (const text of ['web1', 'DB_2.prod', 'x'.repeat(63)])
      assert.equal(guestName.parse(text), text);
    assert.equal(migrationId.parse('m-0123abcd'), 'm-0123abcd');
    assert.equal(hostName.safeParse('Host').success, false, 'host names are small letters');
  });
});

describe('an address', () => {
  test('an address is a host and a port', () => {
    assert.deepEqual(splitAddress('10.0.0.1:7001'), { host: '10.0.0.1', port: 7001 });
    assert.deepEqual(splitAddress('[fd00::1]:7001'), { host: 'fd00::1', port: 7001 });
    assert.deepEqual(splitAddress('b.example:80'), { host: 'b.example', port: 80 });
    for (const text of ['10.0.0.1:7001', '[fd00::1]:7001', 'b.example:80']) {
      assert.equal(address.parse(text), text);
    }
  });

  test('an address is nothing else', () => {
    for (const text of [
      'b',
      'b:',
      ':80',
      'b:port',
      'b:80/x',
      'unix:/x',
      'a b:1',
      'b:123456',
      'http://b:1',
    ]) {
      assert.equal(address.safeParse(text).success, false, text);
    }
    assert.equal(address.safeParse(`${'x'.repeat(200)}:80`).success, false);
  });

  test('an address has no port above the highest one', () => {
    for (const text of ['b:65536', 'b:99999']) {
      assert.equal(address.safeParse(text).success, false, text);
    }
    assert.equal(address.safeParse('b:65535').success, true);
  });
});
