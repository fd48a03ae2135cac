import assert from 'node:assert/strict';
import { test } from 'node:test';
import { maintenanceRoutes } from '../../../../src/protocol/public/hosts/maintenance-routes.ts';

test("a viewer only looks at a host; operators disable a manager's host, and requests close one", () => {
  const access = Object.values(maintenanceRoutes).map((route) => [route.method, route.access]);
  assert.deepEqual(access, [
    ['GET', 'viewer'],
    ['PUT', 'orders'],
    ['DELETE', 'orders'],
    ['GET', 'viewer'],
    ['PUT', 'operator'],
    ['DELETE', 'operator'],
  ]);
});

test('guests that are off stay unless more is requested', () => {
  assert.deepEqual(maintenanceRoutes.enterMaintenanceMode.body.parse({}), { stopped: false });
  const answer = maintenanceRoutes.maintenanceMode.response;
  assert.equal(answer.safeParse({ state: 'asleep' }).success, false);
  assert.equal(answer.safeParse({ state: 'in' }).success, true);
});
