import assert from 'node:assert/strict';
import { test } from 'node:test';
import { JoinFailures } from '../../../src/agent/pki/join-failures.ts';
import { fleet } from '../samples.ts';
import { post, exchangeTls } from '../../rpc/wire.ts';

const wrong = (): Promise<never> => Promise.reject(new Error('a wrong token'));
const right = (): Promise<string> => Promise.resolve('signed');

test('wrong tokens delay their sender, and no other joining host', async () => {
  let nowMs = 0;
  const failures = new JoinFailures(() => nowMs);
  for (let count = 0; count < 5; count += 1) {
    await assert.rejects(failures.run('10.0.0.66', wrong), /a wrong token/);
  }
  let isTried = false;
  const tried = failures.run('10.0.0.66', async () => {
    isTried = true;
  });
  await assert.rejects(tried, { code: 'GODWIT_OVERLOADED', retryable: true });
  assert.equal(isTried, false, 'no token is looked for any more');
  for (let count = 0; count < 20; count += 1) {
    assert.equal(await failures.run('10.0.0.7', right), 'signed');
  }
  nowMs += 12_000;
  await assert.rejects(failures.run('10.0.0.66', wrong), /a wrong token/);
  await assert.rejects(failures.run('10.0.0.66', right), { code: 'GODWIT_OVERLOADED' });
  nowMs += 60_000;
  assert.equal(await failures.run('10.0.0.66', right), 'signed');
});

test('concurrent wrong tokens do not bypass the delay, and no list grows without end', async () => {
  const failures = new JoinFailures(() => 0);
  const all = await Promise.allSettled(
    Array.from({ length: 50 }, () => failures.run('fd00::1', wrong)),
  );
  const tried = all.filter(
    (each) => each.status === 'rejected' && /a wrong token/.test(String(each.reason)),
  );
  assert.equal(tried.length, 5);
  for (let count = 0; count < 3000; count += 1) {
    await assert.rejects(failures.run(`10.1.${count >> 8}.${count & 255}`, wrong));
  }
  assert.equal(failures.size, 1024);
});

test('an agent that receives wrong tokens over the network reports it by name', async (t) => {
  const { host } = await fleet(t);
  const { agent } = await host('a', { holdsCa: true });
  const token = `gwj1/b/10.0.0.1:1/${'f'.repeat(43)}/${'s'.repeat(32)}`;
  const bytes = post('/v1/pki/join', JSON.stringify({ token, request: '' }));
  const codes: string[] = [];
  for (let count = 0; count < 7; count += 1) {
    codes.push((await exchangeTls(agent.address, {}, bytes)).json.error.code);
  }
  assert.deepEqual(
    codes.slice(0, 5),
    Array.from({ length: 5 }, () => 'GODWIT_JOIN_TOKEN'),
  );
  assert.deepEqual(codes.slice(5), ['GODWIT_OVERLOADED', 'GODWIT_OVERLOADED']);
});
