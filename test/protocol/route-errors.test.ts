import assert from 'node:assert/strict';
import { test } from 'node:test';
import { publicContract } from '../../src/protocol/contract.ts';
import { moverContract } from '../../src/protocol/mover/contract.ts';
import type { Route } from '../../src/protocol/route.ts';
import { errorsOf } from '../../src/protocol/route-errors.ts';

test('each route of the public API names its errors', () => {
  for (const [key, route] of Object.entries<Route>(publicContract)) {
    assert.ok(route.errors, key);
    assert.ok(errorsOf(route)?.includes('GODWIT_INTERNAL'), key);
  }
});

test('a route without a certificate requirement refuses none', () => {
  assert.equal(errorsOf(publicContract.health)?.includes('GODWIT_ROLE_FORBIDDEN'), false);
  assert.ok(errorsOf(publicContract.guests)?.includes('GODWIT_ROLE_FORBIDDEN'));
});

test('a route that names no errors may answer with any', () => {
  assert.equal(errorsOf(moverContract.progress), undefined);
});
