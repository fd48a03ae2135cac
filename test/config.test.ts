import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { hostsOf, loadAgentConfig, parseAgentConfig } from '../src/config.ts';
import { GodwitError } from '../src/errors.ts';

const least = { name: 'a', address: '10.0.0.1:7001', stateDir: '/var/lib/godwit' };

function refusal(text: string): GodwitError {
  try {
    parseAgentConfig('agent.json', text);
  } catch (thrown) {
    assert.ok(thrown instanceof GodwitError);
    assert.equal(thrown.code, 'GODWIT_CONFIG');
    assert.match(thrown.message, /^agent\.json: /);
    return thrown;
  }
  throw new Error('it was taken');
}

const refusalOf = (config: object): string =>
  refusal(JSON.stringify({ ...least, ...config })).message;

describe("an agent's configuration", () => {
  test("an agent's configuration needs a name, an address and a place; the rest has defaults", () => {
    const config = parseAgentConfig('agent.json', JSON.stringify(least));
    assert.deepEqual(config.peers, {});
    assert.deepEqual(config.ports, { from: 49_152, to: 49_407 });
    assert.equal(config.limits.migrationsIn, 8);
    assert.equal(config.logLevel, 'info');
    for (const field of Object.keys(least)) {
      assert.match(refusalOf({ [field]: undefined }), new RegExp(field));
    }
  });

  test("an agent's configuration names the paths to its host once each, the main one first", () => {
    const addresses = ['[fd00::1]:7001', '10.0.0.1:7002'];
    const config = parseAgentConfig('agent.json', JSON.stringify({ ...least, addresses }));
    assert.deepEqual(hostsOf(config), ['10.0.0.1', 'fd00::1']);
  });

  test("an agent's configuration names directories and NFS exports for disks, and rejects other entries", () => {
    const export0 = { nfs: 'nfs://filer/srv/vm', user: 107, group: 107 };
    const storage = [{ path: '/srv/vm' }, export0];
    const config = parseAgentConfig('agent.json', JSON.stringify({ ...least, storage }));
    assert.deepEqual(config.storage, storage);
    assert.match(refusalOf({ storage: [{ pth: '/srv/vm' }] }), /neither \{ path \}.*storage/s);
    assert.match(refusalOf({ storage: [{ nfs: 'nfs://filer' }] }), /nfs:\/\/SERVER\/PATH/);
    assert.match(refusalOf({ storage: [{ path: '/srv/vm', user: 1 }] }), /user/);
  });

  test("an agent's configuration names iSCSI targets for disks, and neither a LUN nor a password of them", () => {
    const iscsi = 'iscsi://10.0.0.5/iqn.2001-04.com.example:vm';
    const storage = [{ iscsi, initiator: 'iqn.2001-04.com.example:a' }, { iscsi }];
    const config = parseAgentConfig('agent.json', JSON.stringify({ ...least, storage }));
    assert.deepEqual(config.storage, storage);
    for (const bad of [`${iscsi}/1`, 'iscsi://10.0.0.5', iscsi.replace('//', '//me%pw@')]) {
      assert.match(refusalOf({ storage: [{ iscsi: bad }] }), /HOST\[:PORT\]\/TARGET/);
    }
    assert.match(refusalOf({ storage: [{ iscsi, initiator: 'host a' }] }), /iqn\.2001-04/);
    const login = [{ iscsi, user: 'a', passwordFile: '/etc/godwit/iscsi' }];
    parseAgentConfig('agent.json', JSON.stringify({ ...least, storage: login }));
    assert.match(refusalOf({ storage: [{ iscsi, user: 'a' }] }), /belong together/);
  });

  test("an agent's configuration names RBD pools for disks, and no reserved word of Ceph", () => {
    const own = { rbd: 'vms/site-a', user: 'vm', conf: '/etc/ceph/a.conf', keyring: '/etc/ceph/k' };
    const storage = [own, { rbd: 'vms' }];
    const config = parseAgentConfig('agent.json', JSON.stringify({ ...least, storage }));
    assert.deepEqual(config.storage, storage);
    for (const bad of ['vms:id=admin', '../vms', 'vms/a/b']) {
      assert.match(refusalOf({ storage: [{ rbd: bad }] }), /POOL or POOL\/NAMESPACE/);
    }
    assert.match(refusalOf({ storage: [{ rbd: 'vms', keyring: 'key' }] }), /absolute path/);
  });

  test("an agent's configuration fills in the omitted settings of a group", () => {
    const config = parseAgentConfig(
      'agent.json',
      JSON.stringify({ ...least, limits: { migrationsIn: 2 } }),
    );
    assert.equal(config.limits.migrationsIn, 2);
    assert.equal(config.limits.migrationsOut, 8);
  });

  test("an agent's configuration of an earlier version is read by its old names", () => {
    const network = (old: object) =>
      parseAgentConfig('agent.json', JSON.stringify({ ...least, network: old })).network;
    assert.equal(network({ probe: false }).segmentCheck, false);
    assert.notEqual(network({ probe: false }).probe, 'off');
    assert.equal(network({ probe: true, vantage: false }).probe, 'off');
    const { segmentCheck, probe } = network({ vantage: { hosts: ['c'] } });
    assert.ok(segmentCheck && probe !== 'off');
    assert.deepEqual(probe.hosts, ['c']);
    assert.match(refusalOf({ network: { vantage: false, probe: {} } }), /vantage/);
    assert.match(refusalOf({ network: { segmentCheck: true, probe: false } }), /probe/);
  });

  test("an agent's configuration with an unknown setting is refused by its name", () => {
    assert.match(refusalOf({ sateDir: '/x' }), /sateDir/);
    assert.match(refusalOf({ limits: { migrationIn: 1 } }), /migrationIn/);
    assert.match(refusalOf({ peers: { b: { adress: 'b:1' } } }), /adress|address/);
  });

  test("an agent's configuration with an invalid value is refused, with its place", () => {
    assert.match(refusalOf({ name: 'Host A' }), /name/);
    assert.match(refusalOf({ address: 'nowhere' }), /address/);
    assert.match(refusalOf({ peers: { b: { address: 'b' } } }), /peers/);
    assert.match(refusalOf({ addresses: ['10.1.0.1'] }), /addresses/);
    assert.match(refusalOf({ peers: { b: { address: 'b:1', addresses: ['c'] } } }), /addresses/);
    assert.match(refusalOf({ ports: { from: 0, to: 10 } }), /ports/);
    assert.match(refusalOf({ ports: { from: 20, to: 10 } }), /ports\.from is above ports\.to/);
    assert.match(refusalOf({ logLevel: 'loud' }), /logLevel/);
    assert.match(refusalOf({ guests: [{ name: '../x', qmp: 'q' }] }), /guests/);
  });

  test("an agent's configuration that is not JSON, or not an object, is refused", () => {
    assert.match(refusal('{').message, /is not JSON/);
    refusal('[]');
    refusal('null');
  });

  test("an agent's configuration is read from its file; a missing file is named", (t) => {
    const directory = mkdtempSync(path.join(tmpdir(), 'godwit-'));
    t.after(() => rmSync(directory, { recursive: true, force: true }));
    const file = path.join(directory, 'agent.json');
    assert.throws(
      () => loadAgentConfig(file),
      (error) => error instanceof GodwitError && error.message === `${file}: cannot be read`,
    );
    writeFileSync(file, JSON.stringify(least));
    assert.equal(loadAgentConfig(file).name, 'a');
  });
});
