import assert from 'node:assert/strict';
import { test } from 'node:test';
import { closingRoutes, MAX_CLOSED_MS, occupancy } from '../../../src/protocol/public/closing.ts';

test('a host is closed for a bounded time, and for a named request', () => {
  const { body } = closingRoutes.closeHost;
  const asked = { request: 'r-00000001', forMs: MAX_CLOSED_MS };
  assert.deepEqual(body?.parse(asked), asked);
  for (const bad of [{ ...asked, forMs: MAX_CLOSED_MS + 1 }, { ...asked, request: 'a' }, {}])
    assert.equal(body?.safeParse(bad).success, false);
});

test('the contents of a host are a bounded list of names and of migrations', () => {
  const underWay = [{ guest: 'db1', migration: 'm-00000009', from: 'a', to: 'b' }];
  assert.ok(occupancy.safeParse({ guests: ['db1'], underWay }).success);
  const many = Array.from({ length: 10_001 }, (_, place) => `g${place}`);
  assert.equal(occupancy.safeParse({ guests: many, underWay: [] }).success, false);
});

test("a viewer may list a host's contents, and only an operator may close it", () => {
  const { occupancy: asked, closeHost, openHost } = closingRoutes;
  assert.deepEqual(
    [asked.access, closeHost.access, openHost.access],
    ['viewer', 'orders', 'orders'],
  );
});
