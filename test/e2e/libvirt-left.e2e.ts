import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LibvirtEnds } from '../../src/drivers/libvirt/ends.ts';
import { endAtDestination } from '../../src/drivers/libvirt/left-behind.ts';
import { MARK, markElement } from '../../src/drivers/libvirt/mark.ts';
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
describe('a guest of libvirt that stayed, and has a definition at its destination', () => {
  const guest = `left-${process.pid}`;
  let hosts: LibvirtHosts;
  let ends: LibvirtEnds;

  before(async () => {
    hosts = await LibvirtHosts.open();
    const uuid = await hosts.guest('a', guest, { isPersistent: true });
    const host = { name: 'a', uri: hosts.uri('a'), options: hosts.options('a') };
    ends = await LibvirtEnds.open({ ...host, outcomes: new Map(), hear: new Set() }, uuid, signal);
    const domain = await ends.running(ends.source, signal);
    assert.ok(domain);
    await ends.source.setMetadata(domain, MARK, markElement(MARKED), signal);
  });
  after(async () => {
    ends?.close();
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

  const ended = (): Promise<void> => endAtDestination(ends, { ...ORDER, guest }, signal);

  test('loses it where it says what the one at its source says', async () => {
    await define((xml) => xml);
    assert.equal(await hosts.state('b', guest), 'shut off');
    await ended();
    assert.equal(await hosts.state('b', guest), 'absent');
    await ended();
  });

  test('keeps it where it is of another machine, or has run there', async () => {
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
    await ended();
    await hosts.virsh('b', 'destroy', guest);
    await assert.rejects(ended(), /has run there/);
    assert.equal(await hosts.state('b', guest), 'shut off');
    assert.equal(await hosts.state('a', guest), 'running');
  });
});
