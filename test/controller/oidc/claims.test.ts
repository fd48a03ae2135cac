import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { personOf } from '../../../src/controller/oidc/claims.ts';
import type { WebRole } from '../../../src/protocol/controller/session.ts';

const values: Record<string, WebRole> = { v: 'viewer', o: 'operator', a: 'admin' };
const config = {
  name: 'ID',
  issuer: 'https://id.test',
  nameClaim: 'preferred_username',
  roles: { claim: 'groups', values },
};
const NO_ROLE = { code: 'GODWIT_OIDC_ROLE' };

test('one value or several give the most powerful role', () => {
  const roleFor = (groups: unknown) => personOf({ sub: 's', groups }, config).role;
  assert.equal(roleFor('v'), 'viewer');
  assert.equal(roleFor(['x', 'o', 'v']), 'operator');
  assert.equal(roleFor(['a', 'o']), 'admin');
});

test('the claim may be nested, and a name with dots is one name', () => {
  const deep = { ...config, roles: { claim: ['realm_access', 'roles'], values } };
  assert.equal(personOf({ sub: 's', realm_access: { roles: ['o'] } }, deep).role, 'operator');
  const dotted = { ...config, roles: { claim: 'https://example.com/roles', values } };
  assert.equal(personOf({ sub: 's', 'https://example.com/roles': 'o' }, dotted).role, 'operator');
});

test('any other value has no role', () => {
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

test("a person has the name from the claim, else the subject, and never a token's name", () => {
  const nameOf = (claims: object) => personOf({ groups: 'v', ...claims }, config).name;
  assert.match(nameOf({ sub: 's1', preferred_username: 'ann' }), /^ann#[0-9a-f]{8} via ID$/);
  assert.match(nameOf({ sub: 's1' }), /^s1#[0-9a-f]{8} via ID$/);
  assert.match(nameOf({ sub: 's1', preferred_username: 'ann\u202Enimda' }), /^s1#/);
  assert.match(nameOf({ sub: 's1', preferred_username: 'x'.repeat(129) }), /^s1#/);
});

test('two people of one name have two names; a renamed person keeps the mark', () => {
  const of = (sub: string, preferred_username: string, issuer = config.issuer) =>
    personOf({ groups: 'v', sub, preferred_username }, { ...config, issuer });
  const ann = of('s1', 'ann');
  assert.deepEqual([ann.issuer, ann.subject], [config.issuer, 's1']);
  assert.equal(of('s1', 'ann').name, ann.name);
  assert.notEqual(of('s2', 'ann').name, ann.name);
  assert.notEqual(of('s1', 'ann', 'https://other.test').name, ann.name);
  const mark = (name: string) => /#[0-9a-f]{8}(?= via ID$)/.exec(name)?.[0];
  assert.equal(mark(of('s1', 'bea').name), mark(ann.name));
  // Whatever name a person chooses, the last mark is the person's own.
  const copied = ann.name.replace(' via ID', '');
  assert.notEqual(of('s2', copied).name, ann.name);
});

test('a person without a valid subject is refused', () => {
  for (const sub of [undefined, '', 7, 'x'.repeat(256), 's\u0000', 's\n'])
    assert.throws(() => personOf({ groups: 'v', sub }, config), { code: 'GODWIT_OIDC_REFUSED' });
});
