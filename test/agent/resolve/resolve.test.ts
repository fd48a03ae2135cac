import assert from 'node:assert/strict';
import { describe, test, type TestContext } from 'node:test';
import { MigrationStore } from '../../../src/agent/migrations/store.ts';
import { systemClock } from '../../../src/clock.ts';
import { godwitError, hasCode } from '../../../src/errors.ts';
import {
  openDestinationJournal,
  openSourceJournal,
  readJournals,
} from '../../../src/host/journal/journal.ts';
import { ownIdentity } from '../../../src/system/processes/process.ts';
import type { DestinationEvent } from '../../../src/migration/direct/destination/destination.ts';
import type { SourceEvent } from '../../../src/migration/direct/source/source-state.ts';
import type { MoverRequest } from '../../../src/protocol/mover/request.ts';
import { migrationRequest } from '../../../src/protocol/public/migration.ts';
import { admissionOf, planned, preparationOf } from '../../migration/direct/samples.ts';
import { fleet, type TestHost } from '../samples.ts';

const plan = planned();
const { id, guest, epoch } = plan;
const NEXT = 'm-00000002';
const handle = { driver: 'fake', name: guest, monitor: 'm', ...ownIdentity() };
const gone = { ...handle, startTicks: 1 };
/** After the hosts' state was made. */
const createdAt = '2100-01-01T00:00:00.000Z';
const did = (step: string, facts = {}): SourceEvent =>
  ({ type: 'did', step, facts }) as unknown as SourceEvent;
const reason = { peer: 'b', address: 'b:1', reason: 'dark' };

/** The source of a migration that is held since commit got no answer. */
const HELD: SourceEvent[] = [
  plan,
  did('admit', { moverAddress: 'b:7001' }),
  ...['inspect', 'assess'].map((step) => did(step)),
  did('prepare', { memoryAddress: 'b:49152', tlsHostname: 'b' }),
  ...['configure', 'arm'].map((step) => did(step)),
  { type: 'hypervisor', event: { type: 'completed' } },
  { type: 'failed', step: 'commit', error: godwitError('GODWIT_UNREACHABLE', reason).toJSON() },
];
const SETTLED: DestinationEvent[] = [
  { type: 'admitted', admission: admissionOf(plan), host: 'b' },
  { type: 'preparing', preparation: preparationOf(plan), ports: {} },
  { type: 'prepared', handle: gone, memoryAddress: 'b:49152' },
  { type: 'armed', epoch, bootId: 'boot-1' },
  { type: 'committed', epoch },
  { type: 'running', epoch, resumeMs: 1 },
  { type: 'finished' },
];

function common(as: string, from: string, to: string) {
  return { version: 1, id: as, fromHost: from, toHost: to, createdAt } as const;
}

function sourceRequest(from: string, to: string, own: typeof handle): MoverRequest {
  const request = migrationRequest.parse({ guest, to });
  const peer = { name: to, address: `${to}:1` };
  return { ...common(id, from, to), side: 'source', peer, handle: own, memoryBytes: 1, request };
}

function destinationRequest(from: string, to: string, as = id, lineage?: string[]): MoverRequest {
  const admission = { ...admissionOf(plan), id: as, from, ...(lineage && { lineage }) };
  const peer = { name: from, address: `${from}:1` };
  return { ...common(as, from, to), side: 'destination', peer, admission };
}

/** Lays a migration into the host's store, as an agent before this one did. */
async function had(
  { config }: TestHost,
  request: MoverRequest,
  events: readonly (SourceEvent | DestinationEvent)[] = [],
): Promise<void> {
  const { dir } = new MigrationStore(config.stateDir, config.name, systemClock).add(request);
  const open = request.side === 'source' ? openSourceJournal : openDestinationJournal;
  const { journal } = open(dir, systemClock);
  for (const event of events) await journal.append(event as never, 'later');
  await journal.close();
}

/** a holds a migration to b; c is a third host. */
async function three(
  t: TestContext,
  prepare: (b: TestHost, c: TestHost) => Promise<void>,
  own = handle,
  asked = createdAt,
) {
  const { host, as } = await fleet(t);
  // Who is in no list of theirs is not answered.
  const known = { peers: { a: { address: '127.0.0.1:1' } } };
  const [b, c] = await Promise.all([host('b', known), host('c', known)]);
  await prepare(b, c);
  // What lies there now is read by an agent that starts now.
  const [b2, c2] = await Promise.all([b.again(), c.again()]);
  const peers = { b: { address: b2.agent.address }, c: { address: c2.agent.address } };
  const a = await host('a', { peers });
  await had(a, { ...sourceRequest('a', 'b', own), createdAt: asked }, HELD);
  return { a: await a.again(), b: b2, c: c2, as };
}

const verdictsAt = async (a: TestHost): Promise<string[]> =>
  (await a.api.resolution({ params: { id } })).answers.map(({ verdict }) => verdict);

describe("resolve with the whole fleet's answers", () => {
  test('the source is a wrong answer if the destination has run the guest and no longer has it', async (t) => {
    const { a } = await three(t, (b) => had(b, destinationRequest('a', 'b'), SETTLED));
    assert.deepEqual(await verdictsAt(a), ['wrong', 'safe']);
    const body = { runAt: 'source', confirm: guest, iKnow: true } as const;
    await assert.rejects(a.api.resolve({ params: { id }, body }), {
      code: 'GODWIT_RESOLVE_REFUSED',
    });
  });

  test('the source is a wrong answer if a third host got the guest since, and the destination forgot', async (t) => {
    const sentOn = destinationRequest('b', 'c', NEXT, [id]);
    const { a } = await three(t, (_b, c) => had(c, sentOn, SETTLED));
    const { answers, unasked } = await a.api.resolution({ params: { id } });
    assert.deepEqual(
      unasked?.map(({ host }) => host),
      ['b'],
    );
    assert.equal(answers[0]?.verdict, 'wrong');
    assert.match(answers[0]?.why ?? '', /sent it on since/);
  });

  test('the copy at the source is given up if a third host got the guest since, and the record names it', async (t) => {
    const sentOn = destinationRequest('b', 'c', NEXT, [id]);
    const { a } = await three(t, (_b, c) => had(c, sentOn, SETTLED), gone);
    const { answers } = await a.api.resolution({ params: { id } });
    const { runAt, verdict } = answers[2] ?? {};
    assert.deepEqual([runAt, verdict], ['elsewhere', 'safe']);
    const body = { runAt: 'elsewhere', confirm: guest, iKnow: false } as const;
    const answer = await a.api.resolve({ params: { id }, body });
    assert.deepEqual(answer, { what: `the copy of ${guest} at a is ended`, proof: 'observed' });
    assert.deepEqual(a.movers.started, [id]);
    const { dir } = new MigrationStore(a.config.stateDir, 'a', systemClock).need(id);
    const event = readJournals(dir).source.at(-1)?.event;
    assert.ok(event?.type === 'resolved' && event.elsewhere?.host === 'c');
  });

  test('a copy that no host is proved to have replaced is given up only if the operator insists', async (t) => {
    const { a, c } = await three(t, (b) => had(b, destinationRequest('a', 'b')), gone);
    await c.agent.close();
    const { answers, inDoubt } = await a.api.resolution({ params: { id } });
    const offered = answers.find(({ runAt }) => runAt === 'elsewhere');
    assert.equal(offered?.verdict, 'risky');
    const body = { runAt: 'elsewhere', confirm: guest } as const;
    await assert.rejects(a.api.resolve({ params: { id }, body: { ...body, iKnow: false } }), {
      code: 'GODWIT_RESOLVE_UNPROVED',
    });
    const insists = { ...body, iKnow: true, answersFor: inDoubt };
    const answer = await a.api.resolve({ params: { id }, body: insists });
    assert.equal(answer.proof, 'operator');
  });

  test('nothing is safe while a third host cannot be asked; a person may answer for it', async (t) => {
    const untouched = SETTLED.slice(0, 4).concat({ type: 'refused', epoch, why: 'asked' });
    const released = [...untouched, { type: 'released' } as const];
    const { a, c } = await three(t, (b) => had(b, destinationRequest('a', 'b'), released));
    assert.deepEqual(await verdictsAt(a), ['safe', 'wrong']);
    await c.agent.close();
    const { answers, unasked, safe, inDoubt } = await a.api.resolution({ params: { id } });
    assert.equal(answers[0]?.verdict, 'unknown');
    assert.equal(safe, undefined);
    assert.deepEqual(
      unasked?.map(({ host }) => host),
      ['c'],
    );
    const body = { runAt: 'source', confirm: guest } as const;
    await assert.rejects(a.api.resolve({ params: { id }, body: { ...body, iKnow: false } }), {
      code: 'GODWIT_RESOLVE_UNPROVED',
    });
    assert.deepEqual(inDoubt, [{ host: 'c', doubts: ['no answer'] }]);
    const unseen = [undefined, [], [{ host: 'c', doubts: ['copy paused'] }]];
    for (const answersFor of unseen) {
      const insists = { ...body, iKnow: true, answersFor };
      await assert.rejects(a.api.resolve({ params: { id }, body: insists }), (thrown) => {
        assert.ok(hasCode(thrown, 'GODWIT_RESOLVE_REFUSED'));
        assert.match(thrown.message, /c was not answered for as it is now \(no answer\)/);
        return true;
      });
    }
    const insists = { ...body, iKnow: true, answersFor: inDoubt };
    const answer = await a.api.resolve({ params: { id }, body: insists });
    assert.equal(answer.proof, 'ask');
  });

  test('a destination whose state was lost since is answered for once, based on its present state', async (t) => {
    const { a } = await three(t, () => Promise.resolve(), handle, '2001-01-01T00:00:00.000Z');
    const { answers, inDoubt, unasked } = await a.api.resolution({ params: { id } });
    assert.equal(answers[0]?.verdict, 'risky');
    assert.deepEqual(
      unasked?.map(({ host }) => host),
      ['b'],
    );
    assert.deepEqual(
      inDoubt?.map(({ host, doubts }) => `${host}: ${doubts.length}`),
      ['a: 1', 'b: 1', 'c: 1'],
    );
    const body = { runAt: 'source', confirm: guest, iKnow: true, answersFor: inDoubt } as const;
    assert.equal((await a.api.resolve({ params: { id }, body })).proof, 'operator');
  });

  test('a destination that does not know the migration does not permit a start of the guest', async (t) => {
    const { a } = await three(t, () => Promise.resolve());
    assert.deepEqual(await verdictsAt(a), ['risky', 'waits']);
  });
});

describe('takebacks', () => {
  const back = { params: { id }, body: { runAt: 'source', by: 'ann' } } as const;
  const refused = { code: 'GODWIT_RESOLVE_REFUSED' };
  const GIVEN_UP: DestinationEvent[] = [
    ...SETTLED.slice(0, 4),
    { type: 'refused', epoch, why: 'asked' },
    { type: 'released' },
  ];

  test('the takeback is refused if a third host shows that it has run the guest since', async (t) => {
    const { a, as } = await three(t, async (b, c) => {
      await had(b, destinationRequest('a', 'b'), GIVEN_UP);
      await had(c, destinationRequest('b', 'c', NEXT, [id]), SETTLED);
    });
    assert.deepEqual(await verdictsAt(a), ['wrong', 'wrong']);
    await assert.rejects((await as('b', 'agent', a)).takeUp(back), refused);
    assert.deepEqual(a.movers.started, []);
  });

  test("the takeback is refused as long as a third host does not answer, with a hint to the operator's command", async (t) => {
    const { a, c, as } = await three(t, (b) => had(b, destinationRequest('a', 'b'), GIVEN_UP));
    await c.agent.close();
    const asked = (await as('b', 'agent', a)).takeUp(back);
    await assert.rejects(asked, (thrown) => {
      assert.ok(hasCode(thrown, 'GODWIT_RESOLVE_REFUSED'));
      assert.match(thrown.message, /c was not asked.*Decide at a/);
      return true;
    });
    assert.deepEqual(a.movers.started, []);
  });

  test('the takeback is carried out once every host answers and none of them has the guest', async (t) => {
    const { a, as } = await three(t, (b) => had(b, destinationRequest('a', 'b'), GIVEN_UP));
    const answer = await (await as('b', 'agent', a)).takeUp(back);
    assert.equal(answer.proof, 'ask');
    assert.deepEqual(a.movers.started, [id]);
  });
});
