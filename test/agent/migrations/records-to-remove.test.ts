import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { surplus } from '../../../src/agent/migrations/records-to-remove.ts';

const kept = (host: string, at: number, side: 'source' | 'destination' = 'destination') => ({
  at,
  host,
  request: { side, fromHost: host, toHost: 'here' },
});

test("a host that begins many migrations loses its own oldest records, and never another host's", () => {
  const many = Array.from({ length: 95 }, (_none, at) => kept('greedy', at));
  const few = Array.from({ length: 10 }, (_none, at) => kept('a', at));
  const gone = surplus([...few, ...many], 100);
  assert.deepEqual(
    gone.map(({ at, host }) => `${host} ${at}`),
    ['greedy 0', 'greedy 1', 'greedy 2', 'greedy 3', 'greedy 4'],
  );
});

test('the newest allowed records of each host are kept, and no host loses one while another has more', () => {
  const list = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 60 });
  fc.assert(
    fc.property(list, fc.nat(40), (hosts, most) => {
      const ended = hosts.map((host, at) => kept(host, at));
      const gone = new Set(surplus(ended, most));
      const left = ended.filter((each) => !gone.has(each));
      assert.equal(left.length, Math.min(ended.length, most));
      const count = (name: string) => left.filter(({ host }) => host === name).length;
      const largest = Math.max(0, ...['a', 'b', 'c', 'd'].map(count));
      for (const { at, host: name } of gone) {
        assert.ok(count(name) >= largest - 1, `${name} keeps ${count(name)} of ${largest}`);
        assert.ok(left.every((each) => each.host !== name || each.at > at));
      }
    }),
  );
});
