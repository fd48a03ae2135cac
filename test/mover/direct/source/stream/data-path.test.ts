import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { storeCredentials } from '../../../../../src/pki/authority.ts';
import { agentConfig } from '../../../../../src/config.ts';
import { fakeWorld } from '../../../../../sim/fake/driver.ts';
import { systemClock } from '../../../../../src/clock.ts';
import { silentLog } from '../../../../../src/log.ts';
import {
  initialSource,
  type SourceEvent,
} from '../../../../../src/migration/direct/source/source-state.ts';
import { SourceDataPath } from '../../../../../src/mover/direct/source/stream/data-path.ts';
import type { Mode } from '../../../../../src/protocol/public/migration.ts';
import { planned } from '../../../../migration/direct/samples.ts';
import { authority } from '../../../../rpc/test-contract.ts';
import { FakeWires } from '../../fake-wires.ts';

type Dependencies = ConstructorParameters<typeof SourceDataPath>[0];

const session = 'ab'.repeat(16);
const never = new AbortController().signal;

/** What the source's end works with, beside a mover of which nothing else is there. */
async function scene(t: TestContext, addresses: string[] = [], mode: Mode = 'precopy') {
  const stateDir = mkdtempSync(path.join(tmpdir(), 'godwit-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const { issue } = await authority(t);
  storeCredentials(path.join(stateDir, 'pki'), await issue('a', 'agent'));
  const world = fakeWorld({ clock: systemClock, linkRate: 1, hosts: {} });
  const wires = new FakeWires(world);
  const waiting = await wires.target({
    migration: 'm-00000001',
    epoch: 1,
    session,
    peer: 'a',
    credentials: { ca: '', cert: '', key: '' },
    memoryBytes: 1,
    graceMs: 1,
    cores: 1,
    socket: '/nowhere/wire.sock',
    hosts: ['10.0.0.2'],
    ports: { from: 1, to: 1 },
  });
  const events: SourceEvent[] = [];
  const peer = { moverAddress: '10.0.0.2:50001' };
  const context = {
    config: agentConfig.parse({ name: 'a', address: '10.0.0.1:7443', stateDir }),
    dir: stateDir,
    request: { memoryBytes: 1, peer: { name: 'b', address: '127.0.0.1:7443', addresses } },
    peer,
    guest: { session: async () => ({}) },
    state: () => initialSource(planned({ path: 'wire', mode, linkGraceMs: 7000 })).state,
    dispatch: (event: SourceEvent) => void events.push(event),
  } as unknown as Dependencies;
  const way = new SourceDataPath(context, wires, silentLog);
  const facts = { memoryAddress: waiting.address, tlsHostname: 'b', wire: { session } };
  return { way, context, wires, events, facts };
}

describe("the source's end of the wire", () => {
  test("the source's end of the wire is a separate socket without TLS; a native one is the destination's", async (t) => {
    const { way, context, facts } = await scene(t);
    const { wire: _wire, ...native } = facts;
    const straight = await way.open(native, never);
    assert.deepEqual(straight, { address: facts.memoryAddress, tlsHostname: 'b' });
    assert.equal(way.isOpen, false);
    // As a mover that was killed leaves it.
    const left = path.join(context.dir, 'wire.sock');
    writeFileSync(left, '');
    const target = await way.open(facts, never);
    assert.equal(existsSync(left), false);
    const address = `unix:${path.join(context.dir, 'wire.sock')}`;
    assert.deepEqual(target, { address, tlsHostname: undefined });
    assert.equal(way.isOpen, true);
  });

  test("the source's end of the wire has the host's other addresses as spare paths to the same port", async (t) => {
    const { way, wires, facts } = await scene(t, ['10.1.0.2:7443', '[fd00::2]:7443']);
    await way.open(facts, never);
    const { port } = new URL(`http://${facts.memoryAddress}`);
    assert.deepEqual(wires.sources[0]?.spare, [`10.1.0.2:${port}`, `[fd00::2]:${port}`]);
    assert.equal(wires.sources[0].graceMs, 7000);
  });

  test("the source's end of the wire is told when the guest switches to post-copy at once", async (t) => {
    for (const mode of ['precopy', 'hybrid', 'postcopy'] as const) {
      const { way, wires, facts } = await scene(t, [], mode);
      await way.open(facts, never);
      assert.equal(wires.sources[0]?.isSwitchedSoon, mode === 'postcopy' ? true : undefined, mode);
    }
  });

  test("the source's end of the wire is closed exactly if another mover works at the destination", async (t) => {
    const { way, wires, facts } = await scene(t);
    await way.open(facts, never);
    way.mind('10.0.0.2:50001');
    assert.equal(wires.aborted.length, 0);
    way.mind('10.0.0.2:50002');
    way.mind('10.0.0.2:50002');
    assert.deepEqual(
      wires.aborted.map(({ message }) => message),
      ['another mover works at the destination'],
    );
  });

  test("the source's end of the wire reports its figures once, however it ends", async (t) => {
    const { way, events, facts } = await scene(t);
    await way.open(facts, never);
    await way.end();
    way.abort('the mover ends');
    await way.end();
    assert.deepEqual(
      events.map((event) => event.type === 'wire' && event.figures.sessions),
      [1],
    );
  });

  test("the source's end of the wire is linked or cut while it is open, and neither once it is over", async (t) => {
    const { way, wires, facts } = await scene(t);
    const said = () => ({ cut: way.isCut, link: way.hasLink });
    assert.deepEqual(said(), { cut: false, link: false });
    await way.open(facts, never);
    assert.deepEqual(said(), { cut: false, link: true });
    wires.cut(2500);
    assert.deepEqual(said(), { cut: true, link: false });
    wires.cut(undefined);
    assert.deepEqual(said(), { cut: false, link: true });
    wires.cut(60_000);
    wires.end();
    await setImmediate();
    assert.deepEqual(said(), { cut: false, link: false });
  });

  test("the source's end of the wire makes room for the next session, and reports both", async (t) => {
    const { way, events, wires, facts } = await scene(t);
    await way.open(facts, never);
    await way.open(facts, never);
    assert.equal(wires.aborted.length, 1);
    await way.end();
    assert.equal(events.length, 2);
  });
});
