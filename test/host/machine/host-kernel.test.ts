import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { askHost } from '../../../src/host/machine/host-kernel.ts';
import type { KernelWord } from '../../../src/rpc/reach.ts';

const never = new AbortController().signal;
const KINDS = ['answer', 'silence', 'unreachable', 'unknown'] as const;

describe("a host's kernel", () => {
  test("a host's kernel is alive with an answer at any port, and silent only at all ports", async () => {
    const word = fc.constantFrom(...KINDS);
    const host = fc.constantFrom('10.0.0.2:7400', '[fd00::2]:7400');
    await fc.assert(
      fc.asyncProperty(host, fc.tuple(word, word, word), async (address, kinds) => {
        const asked: string[] = [];
        const ask = askHost(async (each) => {
          asked.push(each);
          return { what: kinds[asked.length - 1] ?? 'unknown', said: 'so' };
        });
        const { what } = await ask(address, 1000, never);
        assert.equal(what === 'answer', kinds.includes('answer'));
        assert.equal(
          what === 'silence',
          kinds.every((each) => each === 'silence'),
        );
        const [own, unused, high] = asked;
        const at = address.replace('7400', '');
        assert.deepEqual([own, unused], [address, `${at}1`]);
        assert.ok(high?.startsWith(at) && Number(high.slice(at.length)) >= 49_152);
      }),
    );
  });

  test("a host's kernel that answers at one port is not awaited at the others", async () => {
    let ended = 0;
    const ask = askHost((address, _timeoutMs, signal) => {
      if (address.endsWith(':1')) return Promise.resolve({ what: 'answer', said: 'it refuses' });
      return new Promise<KernelWord>((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          ended += 1;
          reject(signal.reason as Error);
        });
      });
    });
    const word = await ask('10.0.0.2:7400', 1000, never);
    assert.deepEqual(word, { what: 'answer', said: 'it refuses at port 1' });
    assert.equal(ended, 2);
  });

  test("a host's kernel is not asked once its caller has given up", async () => {
    const ask = askHost(async (_address, _timeoutMs, signal) => {
      signal.throwIfAborted();
      return { what: 'silence', said: 'nothing' };
    });
    const aborted = AbortSignal.abort(new Error('enough'));
    await assert.rejects(ask('10.0.0.2:7400', 1000, aborted), /enough/);
  });
});
