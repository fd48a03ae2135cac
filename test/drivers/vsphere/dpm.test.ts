import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { balancerOf } from '../../../src/drivers/vsphere/check.ts';
import { dpmIn, powerModeOf } from '../../../src/drivers/vsphere/dpm.ts';
import {
  powerMode,
  type MaintenanceMode,
} from '../../../src/protocol/public/hosts/managed-host.ts';
import { parseXml, type XmlElement } from '../../../src/formats/xml.ts';

/** As the vSphere Web Services API documents ClusterConfigInfoEx. */
const cluster = (level: string, own = '', drs = true): XmlElement =>
  parseXml(
    `<val><drsConfig><enabled>${drs}</enabled></drsConfig><dpmConfigInfo><enabled>${level !== 'off'}</enabled><defaultDpmBehavior>${level === 'off' ? 'automated' : level}</defaultDpmBehavior><hostPowerActionRate>3</hostPowerActionRate></dpmConfigInfo>${own}</val>`,
  ) as XmlElement;
const own = (id: string, behavior: string, enabled = true): string =>
  `<dpmHostConfig><key type="HostSystem">${id}</key><enabled>${enabled}</enabled><behavior>${behavior}</behavior></dpmHostConfig>`;
const hosts = ['host-1', 'host-2'];

const modeIn = (configuration: XmlElement | undefined) =>
  powerModeOf(
    { name: 'C0', dpm: configuration === undefined ? undefined : dpmIn(configuration) },
    hosts,
  );

test('only automated DPM sets the power of hosts by itself', () => {
  assert.deepEqual(modeIn(cluster('automated')), { sets: 'manager', words: 'DPM of C0' });
  assert.deepEqual(modeIn(cluster('manual')), { sets: 'asker', words: 'DPM of C0 is manual' });
  assert.deepEqual(modeIn(cluster('off')), { sets: 'asker', words: 'DPM of C0 is off' });
  assert.equal(modeIn(undefined).words, 'DPM of C0 is not known');
  assert.equal(powerModeOf({ name: undefined, dpm: undefined }, hosts).sets, 'asker');
});

test('a cluster with DRS off has no DPM, whatever is set for it', () => {
  assert.equal(modeIn(cluster('automated', '', false)).words, 'DPM of C0 is off');
});

test('one host that DPM handles by itself is enough, and hosts that DPM leaves on do not count', () => {
  assert.equal(modeIn(cluster('manual', own('host-2', 'automated'))).sets, 'manager');
  assert.equal(modeIn(cluster('manual', own('host-9', 'automated'))).sets, 'asker');
  assert.equal(modeIn(cluster('automated', own('host-1', 'automated', false))).sets, 'manager');
  const all = own('host-1', 'automated', false) + own('host-2', 'manual');
  assert.deepEqual(modeIn(cluster('automated', all)), {
    sets: 'asker',
    words: 'DPM of C0 leaves all its hosts on',
  });
});

test('any names of clusters and levels yield a valid answer', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 300 }), fc.string({ maxLength: 64 }), (name, level) => {
      const dpm = { isOn: true, level, own: new Map() };
      assert.doesNotThrow(() => powerMode.parse(powerModeOf({ name, dpm }, hosts)));
    }),
  );
});

test('the check of a move names the manager that may move the guest on from there', () => {
  const drs: MaintenanceMode = { moves: 'manager', words: 'DRS of C0', leaves: ['web2'] };
  const off = { sets: 'asker', words: 'DPM of C0 is off' } as const;
  assert.equal(
    balancerOf('web1', drs, off).evidence,
    'DRS of C0 moves guests by itself: it may move web1 on from there; DPM of C0 is off',
  );
  assert.match(balancerOf('web2', drs, off).evidence, /leaves web2 where it is/);
  const sleeps = balancerOf('web1', drs, { sets: 'manager', words: 'DPM of C0' });
  assert.match(sleeps.evidence, /DPM of C0 puts hosts to sleep by itself/);
  assert.equal(sleeps.verdict, 'pass');
});
