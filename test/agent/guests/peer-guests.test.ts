import assert from 'node:assert/strict';
import { test } from 'node:test';
import { everyGuestOfPeer, guestsOfPeer } from '../../../src/agent/guests/peer-guests.ts';
import type { GuestInfo } from '../../../src/protocol/public/hosts/host.ts';
import { endpoint, guest } from '../../cli/fake.ts';

type Missing = { host: string; why: string; asOf?: string };
type Page = { guests: GuestInfo[]; next?: string; missing?: Missing[] };
type Options = { signal?: AbortSignal; deadlineMs?: number; allowance?: { bytes: number } };

/** What is gathered of a host `b` that answers so, and the options of each question. */
async function gathered(
  answer: (count: number, options: Options) => Promise<Page>,
  name?: string,
): Promise<{ found: Promise<GuestInfo[]>; asked: Options[] }> {
  const asked: Options[] = [];
  const { api } = endpoint('b', {
    guests: async (_input, options: Options = {}) => answer(asked.push(options), options),
  });
  return { found: guestsOfPeer(api, 'b', name).then(({ guests }) => guests), asked };
}

test('a host answers for itself alone, page after page', async () => {
  const { found, asked } = await gathered(async (count) =>
    count === 1
      ? { guests: [guest('web', 'b'), guest('web', 'a')], next: 'p2' }
      : { guests: [guest('db', 'b')] },
  );
  const all = await found;
  assert.deepEqual(
    all.map(({ name, host }) => [name, host]),
    [
      ['web', 'b'],
      ['db', 'b'],
    ],
  );
  const [first, second] = asked;
  assert.ok(first?.allowance !== undefined && first.allowance === second?.allowance);
  assert.ok(first.allowance.bytes <= 32 * 1024 * 1024);
});

test('all pages of a host have one deadline, however slow each is', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { found, asked } = await gathered(async (_count, { signal }) => {
    t.mock.timers.tick(1500);
    signal?.throwIfAborted();
    return { guests: [guest('web', 'b')], next: 'again' };
  });
  await assert.rejects(found, {
    code: 'GODWIT_DEADLINE',
    message: 'the guests of b took longer than 5.0 s',
  });
  assert.equal(asked.length, 4);
});

test('a host that lists more guests than allowed counts as silent', async () => {
  const one = guest('web', 'b');
  const { found, asked } = await gathered(async () => ({
    guests: Array.from({ length: 4000 }, () => one),
    next: 'again',
  }));
  await assert.rejects(found, { code: 'GODWIT_PROTOCOL_INVALID' });
  assert.equal(asked.length, 3);
});

test('the guests of a silent driver count as in its last list, and none counts as gone before that', async () => {
  const answering = (asOf?: string) => {
    const why = 'libvirt: no answer';
    const missing = [{ host: 'z', why, ...(asOf === undefined ? {} : { asOf }) }];
    return endpoint('b', { guests: async () => ({ guests: [guest('web', 'b')], missing }) }).api;
  };
  const asOf = new Date(0).toISOString();
  const wanted = new AbortController().signal;
  const listed = await guestsOfPeer(answering(asOf), 'b', undefined);
  assert.deepEqual(listed.missing, [{ host: 'b', why: 'libvirt: no answer', asOf }]);
  const { guests } = await everyGuestOfPeer(answering(asOf), 'b', { signal: wanted });
  assert.equal(guests.length, 1);
  await assert.rejects(everyGuestOfPeer(answering(), 'b', { signal: wanted }), {
    code: 'GODWIT_INCOMPLETE',
    message: 'the list of guests of b is incomplete: libvirt: no answer',
  });
});

test('the guests of a host without a follower are not waited for', async () => {
  const { api } = endpoint('b', { guests: () => new Promise<Page>(() => {}) });
  const end = new AbortController();
  const asked = everyGuestOfPeer(api, 'b', { signal: end.signal });
  end.abort(new Error('the follower ends'));
  await assert.rejects(asked, { message: 'the follower ends' });
});
