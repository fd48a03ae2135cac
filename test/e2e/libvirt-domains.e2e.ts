import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readDomain, type DomainFacts } from '../../src/drivers/libvirt/domain-xml.ts';
import { cacheDirectory } from '../../src/system/files/cache-directory.ts';
import { LibvirtHosts } from '../drivers/libvirt/support/daemons.ts';

const NEWER = path.join(cacheDirectory(), 'libvirt/backports');
const SETUP = path.join(import.meta.dirname, '../../tools/setup.sh');
const DOMAINS = path.join(import.meta.dirname, '../drivers/libvirt/domains');
const skip = existsSync('/etc/debian_version') ? false : 'the newer libvirt is one of Debian';

/** What this host has in the place of what the domain was defined for: hardware, a QEMU of Red Hat, its machines. */
function asHere(xml: string): string {
  const topology = /<topology [^>]*>/.exec(xml)?.[0] ?? '';
  const numa = /<numa>[^]*?<\/numa>/.exec(xml)?.[0] ?? '';
  return xml
    .replace("type='kvm'", "type='qemu'")
    .replace(/<emulator>[^<]*/, '<emulator>/usr/bin/qemu-system-x86_64')
    .replace(/machine='pc-(q35|i440fx)-[^']*'/, "machine='pc-$1-7.2'")
    .replace(/<cpu [^]*?<\/cpu>/, `<cpu>${topology}${numa}</cpu>`);
}

/** By what a move is judged, apart from what `asHere` replaces and what only a guest that runs has. */
function judged({ name, uuid, memoryBytes, vcpus, firmware, tpm, labels, ...rest }: DomainFacts) {
  const disks = rest.disks.map(({ isLinked: _, format, ...disk }) => ({
    ...disk,
    // Of a drive that is empty it is anybody's.
    format: disk.source === '' ? '' : format,
  }));
  const macs = rest.nics.map(({ mac }) => mac);
  const networks = rest.networks.map(({ network }) => network);
  const fixed = rest.securityLabels.filter(({ kind }) => kind !== 'made').map(({ model }) => model);
  const { unmovable } = rest;
  const all = { name, uuid, memoryBytes, vcpus, firmware, tpm, labels };
  return { ...all, disks, macs, networks, fixed, unmovable };
}

function factsOf(xml: string): DomainFacts {
  const { facts, why } = readDomain(xml);
  assert.ok(facts, why ?? '');
  return facts;
}

/** The XML in the shapes of others that the other tests read, as libvirt 11.3 reads it and writes it again. */
describe('domains of other managers', { skip }, () => {
  let hosts: LibvirtHosts;

  before(async () => {
    execFileSync('bash', [SETUP, '--only', 'libvirt'], { stdio: ['ignore', 2, 2] });
    hosts = await LibvirtHosts.open({ b: NEWER });
  });
  after(() => hosts?.close());

  async function define(xml: string): Promise<string> {
    const file = path.join(hosts.dir, 'domain.xml');
    writeFileSync(file, xml);
    const words = ['define', file, '--validate'] as const;
    return hosts.virsh('b', ...words).then(
      () => '',
      (error: Error) => error.message.split('\n').slice(1).join(' '),
    );
  }

  for (const file of readdirSync(DOMAINS)) {
    test(`a domain fits libvirt's schema, and is the same once libvirt has read it: ${file}`, async () => {
      let xml = asHere(readFileSync(path.join(DOMAINS, file), 'utf8'));
      let said = await define(xml);
      // The schema has been passed by then.
      if (said.includes('TPM version')) {
        xml = xml.replace(/<tpm [^]*?<\/tpm>/, '');
        said = await define(xml);
      }
      assert.equal(said, '');
      const own = factsOf(xml);
      const read = factsOf(await hosts.virsh('b', 'dumpxml', own.name, '--inactive'));
      assert.deepEqual(judged(read), judged(own));
      await hosts.virsh('b', 'undefine', own.name, '--nvram', '--tpm');
    });
  }
});
