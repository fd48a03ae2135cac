import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { DaemonPair } from '../../src/drivers/libvirt/daemon-pair.ts';
import { endAtDestination } from '../../src/drivers/libvirt/images/left-behind.ts';
import { MARK, markElement } from '../../src/drivers/libvirt/mark.ts';
import { LibvirtSession } from '../../src/drivers/libvirt/session.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { ORDER } from '../drivers/libvirt/support/order.ts';

const signal = AbortSignal.timeout(120_000);
const MARKED = {
  id: ORDER.id,
  state: 'failed',
  reason: '',
  autostart: 'no',
  persistent: 'yes',
  defined: 'no',
} as const;

/** By libvirt 9.0: what its daemons say where a definition was left, and where it is somebody's own. */
describe('a libvirt guest that stayed, with a definition at its destination', () => {
  const guest = `left-${process.pid}`;
  let hosts: LibvirtHosts;
  let daemons: DaemonPair;

  before(async () => {
    hosts = await LibvirtHosts.open();
    const uuid = await hosts.guest('a', guest, { isPersistent: true });
    const host = { name: 'a', uri: hosts.uri('a'), options: hosts.options('a') };
    daemons = await DaemonPair.open(
      { ...host, outcomes: new Map(), hear: new Set() },
      uuid,
      signal,
    );
    const domain = await daemons.running(daemons.source, signal);
    assert.ok(domain);
    await daemons.source.setMetadata(domain, MARK, markElement(MARKED), signal);
  });
  after(async () => {
    daemons?.close();
    await hosts?.destroy(guest);
    await hosts?.close();
  });

  /** Defined at b as it is at a, but for this. */
  async function define(change: (xml: string) => string): Promise<void> {
    const xml = await hosts.virsh('a', 'dumpxml', guest, '--inactive');
    const file = path.join(hosts.dir, 'left.xml');
    writeFileSync(file, change(xml));
    await hosts.virsh('b', 'define', file);
  }

  const ended = (): Promise<void> => endAtDestination(daemons, { ...ORDER, guest }, signal);

  test("a definition equal to the source's is removed at the destination", async () => {
    await define((xml) => xml);
    assert.equal(await hosts.state('b', guest), 'shut off');
    await ended();
    assert.equal(await hosts.state('b', guest), 'absent');
    await ended();
  });

  test('a definition of another machine, or one that has run there, is kept', async () => {
    await define((xml) =>
      xml
        .replace(/<memory .*?<\/memory>/, "<memory unit='MiB'>256</memory>")
        .replace(/<currentMemory .*?<\/currentMemory>/, ''),
    );
    await assert.rejects(ended(), /of another machine/);
    assert.equal(await hosts.state('b', guest), 'shut off');
    await hosts.virsh('b', 'undefine', guest);
    await define((xml) => xml);
    await hosts.virsh('b', 'start', guest, '--paused');
    await assert.rejects(ended(), { code: 'GODWIT_MANAGERS_DISAGREE' });
    await hosts.virsh('b', 'destroy', guest);
    await assert.rejects(ended(), /has run there/);
    assert.equal(await hosts.state('b', guest), 'shut off');
    assert.equal(await hosts.state('a', guest), 'running');
  });
});

/** libvirt itself moves the guest, and leaves its definition at the source, as a daemon does that dies before it removes it. */
describe('a moved libvirt guest, with a definition at its source', () => {
  const guest = `moved-${process.pid}`;
  let hosts: LibvirtHosts;
  let daemons: DaemonPair;
  let session: LibvirtSession;
  let definition: string;

  before(async () => {
    hosts = await LibvirtHosts.open();
    const uuid = await hosts.guest('a', guest, { isPersistent: true });
    const name = { name: 'a', uri: hosts.uri('a'), options: hosts.options('a') };
    const host = { ...name, outcomes: new Map(), hear: new Set<() => void>() };
    daemons = await DaemonPair.open(host, uuid, signal);
    session = await LibvirtSession.open(host, uuid, signal);
    const domain = await daemons.running(daemons.source, signal);
    assert.ok(domain);
    await daemons.source.setMetadata(domain, MARK, markElement(MARKED), signal);
    definition = await hosts.virsh('a', 'dumpxml', guest, '--inactive');
    const to = hosts.options('a').hosts['b']?.uri ?? '';
    await hosts.virsh('a', 'migrate', '--live', '--p2p', '--persistent', guest, to);
    assert.equal(await hosts.state('b', guest), 'running');
  });
  after(async () => {
    daemons?.close();
    await session?.close();
    await hosts?.destroy(guest);
    await hosts?.close();
  });

  async function define(xml: string): Promise<void> {
    const file = path.join(hosts.dir, 'moved.xml');
    writeFileSync(file, xml);
    await hosts.virsh('a', 'define', file);
  }

  const finished = (): Promise<void> => session.finish({ ...ORDER, guest }, signal);

  test("a definition with a person's additions is kept at the source, and an equal one is removed", async () => {
    await define(definition.replace('</domain>', '<title>the one to keep</title></domain>'));
    await hosts.virsh('a', 'autostart', guest);
    // As where the answer was lost: the mark stays as long as the definition.
    for (let again = 0; again < 2; again += 1)
      await assert.rejects(
        finished(),
        /left to you, since it is of another machine.*autostart is off/,
      );
    assert.equal(await hosts.state('a', guest), 'shut off');
    assert.match(await hosts.virsh('a', 'dominfo', guest), /Autostart:\s+disable/);
    await define(definition);
    await finished();
    assert.equal(await hosts.state('a', guest), 'absent');
    assert.equal(await hosts.state('b', guest), 'running');
    assert.match(await hosts.virsh('b', 'dominfo', guest), /Persistent:\s+yes/);
    await define(definition);
    // Without the mark nothing of it is this migration's.
    await assert.rejects(finished(), { code: 'GODWIT_MANAGERS_DISAGREE' });
    assert.equal(await hosts.state('a', guest), 'shut off');
    await hosts.virsh('a', 'undefine', guest);
  });
});
