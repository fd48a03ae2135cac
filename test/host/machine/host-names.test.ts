import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ipsOf } from '../../../src/host/machine/host-names.ts';

const never = new AbortController().signal;

test('hosts are identified by their IP addresses, even those with names; a name without one is reported', async () => {
  const known: Record<string, string[]> = { 'b.example': ['10.0.0.2', 'fd00::2'] };
  const resolve = (name: string) => {
    const found = known[name];
    return found === undefined ? Promise.reject(new Error('ENOTFOUND')) : Promise.resolve(found);
  };
  const hosts = ['10.0.0.1', 'b.example', 'gone.example', 'fd00::1', 'gone.example'];
  assert.deepEqual(await ipsOf(hosts, never, resolve), {
    ips: ['10.0.0.1', '10.0.0.2', 'fd00::2', 'fd00::1'],
    unresolved: ['gone.example'],
  });
});

test('a silent name server leaves its names unresolved, and an abort ends the wait', async () => {
  const silent = () => new Promise<string[]>(() => undefined);
  assert.deepEqual((await ipsOf(['b.example'], never, silent)).unresolved, ['b.example']);
  const gone = AbortSignal.abort(new Error('enough'));
  await assert.rejects(ipsOf(['b.example'], gone, silent), /enough/);
});
