import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseAgentConfig } from '../../../../src/config.ts';
import { GodwitError, godwitError, hasCode } from '../../../../src/errors.ts';
import {
  initialSource,
  type StepFacts,
} from '../../../../src/migration/direct/source/source-state.ts';
import {
  ask,
  darkMs,
  preparation,
  saidLink,
  tearDown,
  unproved,
  type MoverParts,
} from '../../../../src/mover/direct/source/source-base.ts';
import { streamSetup } from '../../../../src/mover/direct/source/stream/data-path.ts';
import { streamModeOf, type MigrationSettings } from '../../../../src/protocol/public/migration.ts';
import { silentLog } from '../../../../src/log.ts';
import { UnderWay } from '../../../../src/mover/direct/source/stream/under-way.ts';
import { BASE, COPY, descriptionOf, planned, withDisk } from '../../../migration/direct/samples.ts';

const never = new AbortController().signal;
const MBIT = 125_000;

interface Setup {
  readonly settings?: Partial<MigrationSettings>;
  readonly known?: StepFacts;
  readonly config?: object;
  readonly linkRate?: number;
  readonly peer?: object;
}

type Parts = MoverParts & { readonly underWay: UnderWay };

function contextOf({ settings = {}, known = {}, ...given }: Setup = {}): Parts {
  const config = { name: 'a', address: '10.0.0.1:7443', stateDir: '/state', ...given.config };
  const context: unknown = {
    config: parseAgentConfig('agent.json', JSON.stringify(config)),
    dir: '/state/migrations/m-00000001',
    request: {
      id: 'm-00000001',
      ...(given.linkRate && { link: { rate: given.linkRate, how: 'measured' } }),
    },
    state: () => ({ ...initialSource(planned(settings)).state, known }),
    peer: given.peer,
    guest: { capabilities: {} },
  };
  const parts = context as MoverParts;
  return { ...parts, underWay: new UnderWay(parts, undefined, silentLog) };
}

const native: StepFacts = { description: descriptionOf() };
const wire: StepFacts = { ...native, path: { takes: 'wire', why: 'the link is thin' } };

describe('the stream of the source', () => {
  test("the source's stream has TLS, credentials and cap between hypervisors, and none over the wire", () => {
    const settings = { maxBandwidth: MBIT };
    const straight = streamSetup(contextOf({ settings, known: native }));
    assert.equal(straight.tls, true);
    assert.equal(straight.maxBandwidth, MBIT);
    const { refuses, ...files } = straight.credentials ?? {};
    assert.equal(typeof refuses, 'function');
    assert.deepEqual(files, {
      caFile: '/state/pki/ca.crt',
      certFile: '/state/pki/host.crt',
      keyFile: '/state/pki/host.key',
      directory: '/state/migrations/m-00000001/tls',
      peer: 'b',
    });
    const byWire = streamSetup(contextOf({ settings, known: wire }));
    assert.equal(byWire.tls, false);
    assert.equal('maxBandwidth' in byWire, false);
    assert.equal('credentials' in byWire, false);
  });

  test("the source's stream has the requested form, unless another was chosen with the path", () => {
    const settings = { streams: 4, compress: 'zstd' as const };
    const asked = streamSetup(contextOf({ settings, known: native }));
    assert.deepEqual([asked.streams, asked.compress], [4, 'zstd']);
    const path = { takes: 'native', why: 'as chosen', stream: { streams: 1, compress: 'none' } };
    const chosen = contextOf({ settings, known: { ...native, path } as StepFacts });
    assert.deepEqual([streamSetup(chosen).streams, streamSetup(chosen).compress], [1, 'none']);
  });

  test("the source's stream announces disks if there are any, and then holds its switchover", () => {
    const bare = streamSetup(contextOf({ known: native }));
    assert.deepEqual([bare.disks, bare.holdSwitchover], [undefined, false]);
    const withDisks = streamSetup(contextOf({ known: { description: withDisk() } }));
    assert.deepEqual([withDisks.disks, withDisks.holdSwitchover], [true, true]);
  });

  test("the source's stream may throttle only if its strategy does", () => {
    const said = (settings: Partial<MigrationSettings>) =>
      streamSetup(contextOf({ settings, known: native })).mayThrottle;
    assert.equal(said({ steering: 'gentle' }), undefined);
    assert.equal(said({ mode: 'postcopy' }), undefined);
    assert.equal(said({ steering: 'must-finish' }), true);
  });

  test("the source's stream plans at most the requested downtime, less if the wire's switch takes less", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10_000 }), (maxDowntimeMs) => {
        const of = (known: StepFacts): number =>
          contextOf({ settings: { maxDowntimeMs }, known }).underWay.downtimeMs();
        assert.ok(of(native) <= maxDowntimeMs);
        assert.ok(of(wire) < of(native) || (maxDowntimeMs <= 60 && of(wire) === of(native)));
        assert.ok(of(wire) > 0);
      }),
    );
  });
});

describe('facts sent to the destination', () => {
  test("the destination gets the facts of the guest's images, and nothing unknown", () => {
    const bare = preparation(contextOf({ known: native }));
    assert.deepEqual(Object.keys(bare).toSorted(), ['description', 'epoch', 'stream']);
    assert.equal(bare.epoch, 17);
    assert.equal(bare.stream.mode, streamModeOf('precopy'));
    const known = { ...native, places: [], copies: [COPY], bases: [BASE] };
    const { copies, bases, places } = preparation(contextOf({ known }));
    assert.deepEqual({ copies, bases, places }, { copies: [COPY], bases: [BASE], places: [] });
  });

  test('the destination gets the terms of the wire only if memory uses it', () => {
    assert.equal(preparation(contextOf({ known: native })).wire, undefined);
    const settings = { linkGraceMs: 12_345 };
    assert.equal(preparation(contextOf({ settings, known: wire })).wire?.linkGraceMs, 12_345);
  });

  test('a request for the guest before its inspection is an internal defect', () => {
    assert.throws(
      () => preparation(contextOf()),
      (error) => hasCode(error, 'GODWIT_INTERNAL') && error.message.includes('description'),
    );
  });
});

test("a configured rate of the link counts before the agent's measurement", () => {
  const config = { wire: { rates: { b: 5 * MBIT } } };
  assert.equal(saidLink(contextOf({ config, linkRate: MBIT }))?.rate, 5 * MBIT);
  assert.equal(saidLink(contextOf({ linkRate: MBIT }))?.rate, MBIT);
  assert.equal(saidLink(contextOf()), undefined);
});

test("the destination's mover of an earlier process is known from the journal before it is asked", async () => {
  const order: string[] = [];
  const peer = {
    resume: (address: string) => void order.push(`resume ${address}`),
    call: async (id: string) => void order.push(`call ${id}`),
  };
  const moverAddress = '10.0.0.2:50001';
  await ask(contextOf({ known: { ...native, moverAddress }, peer }), never, async () => undefined);
  assert.deepEqual(order, [`resume ${moverAddress}`, 'call m-00000001']);
  order.length = 0;
  await ask(contextOf({ peer }), never, async () => undefined);
  assert.deepEqual(order, ['call m-00000001']);
});

test('the remains of a lost guest are torn down as lost, under the epoch of its migration', async () => {
  const bodies: unknown[] = [];
  const api = { release: async ({ body }: { body: unknown }) => void bodies.push(body) };
  const peer = {
    resume: () => undefined,
    call: (_id: string, _signal: unknown, question: (api: object) => unknown) => question(api),
  };
  await tearDown(contextOf({ peer }), never);
  assert.deepEqual(bodies, [{ epoch: 17, lost: true }]);
});

test("a silent destination is awaited for 45 s at most, including the fencing program's time", () => {
  assert.equal(darkMs(30_000, 300_000), 45_000);
  assert.equal(darkMs(30_000, 60_000), 30_000);
});

test('a missing answer of the destination is reported with the reason why no proof replaced it', () => {
  const silent = godwitError('GODWIT_UNREACHABLE', { peer: 'b', address: 'x', reason: 'silent' });
  const why = 'its kernel answers';
  const said = unproved(silent, { off: false, why });
  assert.ok(said instanceof GodwitError && hasCode(said, 'GODWIT_UNREACHABLE'));
  assert.equal(said.message, `${silent.message}; ${why}`);
  assert.equal(said.cause, silent);
  assert.equal(unproved(silent, undefined), silent);
  assert.equal(unproved(silent, { off: true, by: 'a hook' }), silent);
  const other = new Error('of another kind');
  assert.equal(unproved(other, { off: false, why }), other);
});
