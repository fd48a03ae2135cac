import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { personOf } from '../../../src/controller/oidc/claims.ts';
import type { WebRole } from '../../../src/protocol/controller/session.ts';

const values: Record<string, WebRole> = { v: 'viewer', o: 'operator', a: 'admin' };
const config = { name: 'ID', nameClaim: 'preferred_username', roles: { claim: 'groups', values } };
const NO_ROLE = { code: 'GODWIT_OIDC_ROLE' };

test('one value or several give the role that may most', () => {
  const roleFor = (groups: unknown) => personOf({ sub: 's', groups }, config).role;
  assert.equal(roleFor('v'), 'viewer');
  assert.equal(roleFor(['x', 'o', 'v']), 'operator');
  assert.equal(roleFor(['a', 'o']), 'admin');
});

test('the claim may lie within others, and a name with dots is one name', () => {
  const deep = { ...config, roles: { claim: ['realm_access', 'roles'], values } };
  assert.equal(personOf({ realm_access: { roles: ['o'] } }, deep).role, 'operator');
  const dotted = { ...config, roles: { claim: 'https://example.com/roles', values } };
  assert.equal(personOf({ 'https://example.com/roles': 'o' }, dotted).role, 'operator');
});

test('no other value has a role, whatever it is', () => {
  fc.assert(
    fc.property(fc.anything(), (groups) => {
      const isNamed = [groups].flat().some((each) => typeof each === 'string' && each in values);
      fc.pre(!isNamed);
      assert.throws(() => personOf({ sub: 's', groups }, config), NO_ROLE);
    }),
  );
  for (const groups of [
    'V',
    'v ',
    'v,o',
    'v o',
    '__proto__',
    'constructor',
    ['toString'],
    { v: 1 },
  ])
    assert.throws(() => personOf({ sub: 's', groups }, config), NO_ROLE);
  const inherited = { ...config, roles: { claim: 'constructor', values } };
  assert.throws(() => personOf({ sub: 's' }, inherited), NO_ROLE);
});

test('a person has the name of the claim, else the subject, and never the name of a token', () => {
  const nameOf = (claims: object) => personOf({ groups: 'v', ...claims }, config).name;
  assert.equal(nameOf({ sub: 's1', preferred_username: 'ann' }), 'ann via ID');
  assert.equal(nameOf({ sub: 's1' }), 's1 via ID');
  assert.equal(nameOf({ sub: 's1', preferred_username: 'ann\u202Enimda' }), 's1 via ID');
  assert.equal(nameOf({ sub: 's1', preferred_username: 'x'.repeat(129) }), 's1 via ID');
});
