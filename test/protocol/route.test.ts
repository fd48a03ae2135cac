import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { role, route } from '../../src/protocol/route.ts';

test('omitted parts of a route are empty', () => {
  const response = z.object({ ok: z.boolean() });
  const made = route({ method: 'GET', path: '/x', summary: 'X', access: 'viewer', response });
  assert.equal(made.body, undefined);
  assert.equal(made.stream, false);
  assert.deepEqual(made.params.parse({}), {});
  assert.deepEqual(made.query.parse({}), {});
});

test('given parts of a route are kept', () => {
  const body = z.object({ name: z.string().max(5) });
  const params = z.object({ id: z.string().max(5) });
  const made = route({
    method: 'POST',
    path: '/x/:id',
    summary: 'X',
    access: 'operator',
    params,
    body,
    response: body,
    stream: true,
  });
  assert.equal(made.body, body);
  assert.equal(made.params, params);
  assert.equal(made.stream, true);
});

test('the roles in certificates are users, controllers, hosts and relays', () => {
  assert.deepEqual(role.options, ['viewer', 'operator', 'controller', 'agent', 'relay']);
});
