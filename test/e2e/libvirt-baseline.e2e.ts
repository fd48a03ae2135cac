import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { baselineAnswer } from '../../src/protocol/public/hosts/processor.ts';
import { at, parseXml } from '../../src/formats/xml.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';
import { AgentHost } from './support/agent-host.ts';

/** libvirt's own names of features where they are more than another way to write QEMU's. */
const QEMUS_NAMES: Readonly<Record<string, string>> = { pclmuldq: 'pclmulqdq' };
/** What no baseline of Godwit has, since no processor ever had it. */
const WITHDRAWN = ['pcommit'];

/** Of virConnectBaselineHypervisorCPU: the emulated processor that both hosts of libvirt can give. */
describe('a baseline of hosts with libvirt', () => {
  let hosts: LibvirtHosts;
  let agent: AgentHost;

  before(async () => {
    hosts = await LibvirtHosts.open();
    agent = await AgentHost.start('a', { qemu: {}, libvirt: hosts.options('a') });
  });
  after(async () => {
    await agent?.close();
    await hosts?.close();
  });

  test('the baseline has the features that libvirt finds common to the hosts, and no other', async () => {
    const offers = ['a', 'b'].map((host) =>
      hosts.virsh(host, 'domcapabilities', '--virttype', 'qemu'),
    );
    const file = path.join(hosts.dir, 'offers.xml');
    writeFileSync(file, (await Promise.all(offers)).join('\n'));
    const words = ['hypervisor-cpu-baseline', file, '--virttype', 'qemu', '--features'] as const;
    const cpu = parseXml(await hosts.virsh('a', ...words));
    assert.ok(cpu !== undefined);
    const common = at(cpu, 'feature')
      .filter(({ attributes }) => attributes['policy'] === 'require')
      .map(({ attributes }) => spelled(attributes['name'] ?? ''))
      .filter((name) => !WITHDRAWN.includes(name));
    const { out, err } = await agent.godwit('advise', 'cpu', '--json');
    assert.equal(err, '');
    const { baselines } = baselineAnswer.parse(JSON.parse(out));
    const own = baselines.find(({ accelerator }) => accelerator === 'tcg')?.baseline;
    assert.ok(common.length > 40, 'libvirt names them');
    assert.deepEqual(new Set(own?.features.map(spelled)), new Set(common));
  });
});

/** Both write some names with points or low lines where the other has hyphens. */
function spelled(name: string): string {
  return QEMUS_NAMES[name] ?? name.replaceAll(/[._]/g, '-');
}
