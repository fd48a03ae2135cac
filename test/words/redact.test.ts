import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { REMOVED, redactText, redactValue } from '../../src/words/redact.ts';

const secret = fc.stringMatching(/^[A-Za-z0-9_-]{43}$/);

test('a token, a private key or a password in a URL is removed wherever it is in a text', () => {
  const kinds: ((value: string) => string)[] = [
    (value) => `gdw_${value}`,
    (value) => `gwj1/b/[fd00::1]:7443/${value}/${value}`,
    (value) => `-----BEGIN PRIVATE KEY-----\n${value}\n-----END PRIVATE KEY-----`,
    (value) => `-----BEGIN EC PRIVATE KEY-----\n${value}`,
    (value) => `postgres://godwit:${value}@db/godwit`,
  ];
  fc.assert(
    fc.property(secret, fc.string(), fc.constantFrom(...kinds), (value, before, make) => {
      const text = `${before} ${make(value)}`;
      assert.equal(redactText(text).includes(value), false);
      assert.equal(JSON.stringify(redactValue({ a: [text] })).includes(value), false);
    }),
  );
});

test('a field with the name of a secret loses its value, and others keep theirs', () => {
  const value = { name: 'a', drivers: { vsphere: { passwordFile: '/x', url: 'https://vc1' } } };
  assert.deepEqual(redactValue(value), {
    name: 'a',
    drivers: { vsphere: { passwordFile: REMOVED, url: 'https://vc1' } },
  });
});

test('no line of a secret file is left, and short lines do not make the text unreadable', () => {
  fc.assert(
    fc.property(secret, fc.string(), fc.string(), (value, before, after) => {
      const left = redactText(`${before}${value}${after}`, [`${value}\n}\n`]);
      assert.equal(left.includes(value), false);
      assert.ok(redactText('a } b', ['}\n']).includes('}'));
    }),
  );
});
