import assert from 'node:assert/strict';
import { test } from 'node:test';
import { controllerOf } from '../../controller/test-controller.ts';
import { authority } from '../../rpc/test-contract.ts';
import { askingOf } from '../asking.ts';

test('a token is made, listed and revoked; its secret is printed once, alone on standard output', async (t) => {
  const { caDir } = await authority(t);
  const { controller } = await controllerOf(t, caDir);
  const run = askingOf(controller);
  assert.match((await run('token list')).out, /^no tokens\n$/);
  const made = await run('token create ann --role operator --expires 90d');
  assert.equal(made.exit, 0, made.err);
  assert.match(made.out, /^gdw_[\w-]{43}\n$/);
  assert.match(made.err, /ann may sign in as operator until \d{4}-/);
  const secret = made.out.trim();
  const listed = await run('token list');
  assert.match(listed.out, /ann +operator +a local process +never +\d{4}-/);
  assert.ok(!listed.out.includes(secret));
  const again = await run('token create ann');
  assert.equal(again.exit, 2);
  assert.match(again.err, /a token named ann already exists/);
  assert.equal((await run('token revoke ann')).exit, 0);
  assert.equal((await run('token revoke ann')).exit, 3);
  const viewer = await run('token create bob --json');
  assert.equal((JSON.parse(viewer.out) as { entry: { role: string } }).entry.role, 'viewer');
});
