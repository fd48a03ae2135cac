import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { proveMedia, type Medium } from '../../../src/mover/shared/media.ts';
import type { DeviceAnswer, DeviceProof } from '../../../src/protocol/disk.ts';

const ENDS = { from: 'a', to: 'b', migration: 'm-1' };
const CHALLENGE = 'ab'.repeat(32);
const soon = (): AbortSignal => AbortSignal.timeout(10_000);

class MediaFixture {
  readonly dropped: string[] = [];
  readonly asked: (readonly DeviceProof[])[] = [];

  medium(name: string, change: Partial<Medium> = {}): Medium {
    return {
      identity: () => Promise.resolve({ bytes: 1024, ids: [`id ${name}`] }),
      prove: () =>
        Promise.resolve({
          samples: ['0123456789abcdef'],
          judge: (there) =>
            Promise.resolve(
              there.length === 1 ? { same: true } : { same: false, why: 'it read something else' },
            ),
        }),
      drop: () => Promise.resolve(void this.dropped.push(name)),
      asked: {},
      unknown: 'nothing shows which it is',
      missing: 'there is none',
      ...change,
    };
  }

  /** A destination that has each medium that `has` says, and reads `samples` of it. */
  readonly ask =
    (has: RegExp, samples = ['fedcba9876543210']) =>
    (devices: readonly DeviceProof[]): Promise<DeviceAnswer[]> => {
      this.asked.push(devices);
      return Promise.resolve(
        devices.map(({ ids: [id = ''], samples: reported }) => {
          if (!has.test(id)) return {};
          return reported === undefined
            ? { challenge: CHALLENGE }
            : { pool: '0123456789abcdef', path: id.slice(3), samples };
        }),
      );
    };
}

const proveWith = (media: Readonly<Record<string, Medium>>, ask: ReturnType<MediaFixture['ask']>) =>
  proveMedia(new Map(Object.entries(media)), ENDS, ask, soon());

describe("a medium of a guest's disk", () => {
  test("a medium is shared if the destination has it, and each host confirms the other's mark", async () => {
    const reported = new MediaFixture();
    const verdicts = await proveWith({ one: reported.medium('one') }, reported.ask(/./));
    assert.deepEqual(verdicts.get('one'), { pool: '0123456789abcdef', path: 'one' });
    assert.deepEqual(reported.dropped, ['one']);
  });

  test('a medium that is unreadable, unknown or missing does not keep others from being proved', async () => {
    const reported = new MediaFixture();
    const media = {
      gone: reported.medium('gone', { identity: () => Promise.reject(new Error('no answer')) }),
      nameless: reported.medium('nameless', {
        identity: () => Promise.resolve({ bytes: 1, ids: [] }),
      }),
      other: reported.medium('other'),
      silent: reported.medium('silent', {
        prove: () => Promise.reject(new Error('not permitted')),
      }),
      one: reported.medium('one'),
    };
    const verdicts = await proveWith(media, reported.ask(/one|silent/));
    assert.deepEqual(Object.fromEntries(verdicts), {
      gone: { why: 'a: no answer' },
      nameless: { why: 'nothing shows which it is' },
      other: { why: 'b: there is none (id other)' },
      silent: { why: 'a: not permitted' },
      one: { pool: '0123456789abcdef', path: 'one' },
    });
    // Also who failed in the midst of reporting may have left something; who never began has not.
    assert.deepEqual(reported.dropped, ['silent', 'one']);
    assert.equal(reported.asked.length, 2);
  });

  test("a medium is not shared if the source does not find the destination's mark", async () => {
    const reported = new MediaFixture();
    const verdicts = await proveWith({ one: reported.medium('one') }, reported.ask(/./, []));
    assert.deepEqual(verdicts.get('one'), { why: 'it read something else' });
    assert.deepEqual(reported.dropped, ['one']);
  });

  test('a medium keeps no mark if the destination does not answer', async () => {
    const reported = new MediaFixture();
    let questions = 0;
    const ask = (devices: readonly DeviceProof[]): Promise<DeviceAnswer[]> => {
      questions += 1;
      return questions === 1 ? reported.ask(/./)(devices) : Promise.reject(new Error('cut'));
    };
    await assert.rejects(proveWith({ one: reported.medium('one') }, ask), /cut/);
    assert.deepEqual(reported.dropped, ['one']);
  });
});
