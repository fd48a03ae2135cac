import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { AgentDirectory } from '../../../src/controller/managers/agent-directory.ts';
import { fileIn, namedIn, resolved } from '../../../src/controller/managers/references.ts';
import { managerPlace, type ManagerPlace } from '../../../src/protocol/controller/managers.ts';

const FINGERPRINT = 'ab'.repeat(32);
const OPTIONS = {
  connections: 2,
  others: {
    vc2: { manager: 'vc2', hosts: { esx9: 'esx9.example.com' } },
    vc3: { url: 'https://vc3' },
  },
};

describe('options that name another manager', () => {
  test("the options get the other manager's address in its place, and keep everything else", () => {
    assert.deepEqual(namedIn(OPTIONS), ['vc2']);
    const found = resolved(OPTIONS, (name) => ({ url: `https://${name}`, user: 'u' }));
    assert.deepEqual(found, {
      connections: 2,
      others: {
        vc2: { url: 'https://vc2', user: 'u', hosts: { esx9: 'esx9.example.com' } },
        vc3: { url: 'https://vc3' },
      },
    });
  });

  test("the options hold no path of the other manager's password, and keep its way to call hosts", () => {
    const own = { url: 'https://mine', user: 'me', passwordFile: '/x', fingerprint: 'f', ca: '/y' };
    const options = { others: { vc2: { manager: 'vc2', ...own, hosts: { e: 'e.x' } } } };
    const found = resolved(options, () => ({ url: 'https://vc2', passwordFile: '/p' }));
    const vc2 = { url: 'https://vc2', passwordFile: '/p', hosts: { e: 'e.x' } };
    assert.deepEqual(found, { others: { vc2 } });
  });

  test('the options name no file of the host, however deep', () => {
    assert.equal(fileIn(OPTIONS), undefined);
    assert.equal(fileIn({ others: { x: { passwordFile: '/etc/shadow' } } }), 'passwordFile');
    assert.equal(fileIn({ a: { b: { c: { ca: '/x' } } } }), 'ca');
  });

  test('the options lose a removed manager, and nothing else', () => {
    const found = resolved(OPTIONS, () => undefined);
    assert.deepEqual(found, { connections: 2, others: { vc3: { url: 'https://vc3' } } });
  });

  test('the options are read as they are if a host is called manager', () => {
    const options = {
      hosts: { manager: 'esx1.example.com' },
      others: { vc3: { url: 'https://vc3', hosts: { manager: 'esx9.example.com' } } },
    };
    assert.deepEqual(namedIn(options), []);
    assert.deepEqual(
      resolved(options, () => undefined),
      options,
    );
  });

  test("the options use the password that the other manager's agent reads, and never a copy", () => {
    const of = (url: string, options: object = {}) =>
      managerPlace.parse({ driver: 'vsphere', url, user: 'u', fingerprint: FINGERPRINT, options });
    const hosts = { esx9: 'esx9.example.com' };
    const other = of('https://vc2', { hosts });
    const placeOf = (name: string) => (name === 'vc2' ? other : undefined);
    const [one, two] = [
      new AgentDirectory('/var/lib/controller', 'vc1', placeOf),
      new AgentDirectory('/var/lib/controller', 'vc2', placeOf),
    ];
    const { drivers } = one.configOf(of('https://vc1', { others: { vc2: { manager: 'vc2' } } }));
    const section = drivers['vsphere'] as { others: Record<string, object> };
    const { passwordFile } = two.configOf(other).drivers['vsphere'] as { passwordFile: string };
    assert.match(passwordFile, /\/vc2\/password$/);
    const { vc2 } = section.others;
    assert.deepEqual(vc2, {
      hosts,
      url: 'https://vc2',
      user: 'u',
      passwordFile,
      fingerprint: FINGERPRINT,
    });
  });
});

test('the guests of a manager are probed only if its options have their addresses', () => {
  const place = (options: object): ManagerPlace =>
    managerPlace.parse({ driver: 'vsphere', url: 'https://vc1', user: 'u', options });
  const directory = new AgentDirectory('/var/lib/controller', 'vc1');
  const { network, drivers } = directory.configOf(
    place({ connections: 2, probe: { kind: 'icmp', addresses: { web1: ['10.88.0.21'] } } }),
  );
  assert.ok(network.probe !== 'off');
  assert.deepEqual(network.probe.addresses, { web1: ['10.88.0.21'] });
  // It is no option of the driver.
  assert.deepEqual(Object.keys(drivers['vsphere'] as object).toSorted(), [
    'connections',
    'passwordFile',
    'url',
    'user',
  ]);
  assert.equal(directory.configOf(place({})).network.probe, 'off');
  assert.throws(() => directory.configOf(place({ probe: { address: [] } })), {
    code: 'GODWIT_CONFIG',
  });
});
