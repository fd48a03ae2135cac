import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Browser } from '../../controller/browser.ts';
import { controllerOf } from '../../controller/test-controller.ts';
import { authority } from '../../rpc/test-contract.ts';
import { askingOf } from '../asking.ts';

test('sessions are listed with their owners, and end one by one or all of one name', async (t) => {
  const { caDir } = await authority(t);
  const party = await controllerOf(t, caDir, { web: { address: '127.0.0.1:0' } });
  const run = askingOf(party.controller);
  assert.match((await run('session list')).out, /^no sessions\n$/);
  const browser = new Browser(t, party.controller.web ?? '', caDir);
  const tokenOf = async (name: string) =>
    (await party.api.createToken({ body: { name, role: 'viewer' } })).token;
  const [ann, bob] = [await tokenOf('ann'), await tokenOf('bob')];
  const cookies = [await browser.signIn(ann), await browser.signIn(ann), await browser.signIn(bob)];
  const isIn = async (cookie: string) =>
    (await browser.ask('/v1/session', { headers: { cookie } })).status === 200;
  const listed = await run('session list');
  assert.match(listed.out, /[0-9a-f]{16} +bob +viewer +the token bob +\d{4}-/);
  assert.ok(!listed.out.includes('gds_'));
  const [id = ''] = /^[0-9a-f]{16}(?= +bob)/m.exec(listed.out) ?? [];
  assert.equal((await run(`session end ${id}`)).exit, 0);
  assert.equal((await run(`session end ${id}`)).exit, 3);
  assert.deepEqual(await Promise.all(cookies.map(isIn)), [true, true, false]);
  assert.match((await run('session list --name bob')).out, /^no sessions\n$/);
  const ended = await run('session end --name ann');
  assert.match(ended.out, /2 sessions of ann ended/);
  assert.deepEqual(await Promise.all(cookies.map(isIn)), [false, false, false]);
  assert.equal((await run('session end')).exit, 2);
  assert.equal((await run(`session end ${id} --name ann`)).exit, 2);
});
