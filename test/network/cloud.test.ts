import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeCloud } from '../../src/network/cloud.ts';
import type { Landing } from '../../src/network/landing.ts';
import type { NicNetwork } from '../../src/protocol/network.ts';
import { hostFacts, MAC, ROUTED_PORT } from './host-facts.ts';

const nic: NicNetwork = {
  id: 'net0',
  mac: MAC,
  port: 'tap1',
  addresses: ['10.88.0.21'],
  attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
};
const EC2 = { cloud: 'Amazon EC2' };
const over = (bridge: string): Landing => ({ kind: 'bridge', bridge, mtu: 1500 });
const judged = (landing: Landing, platform: { cloud?: string } = EC2, hooks: string[] = []) =>
  judgeCloud(nic, landing, platform, { facts: hostFacts(), hooks });

test("a guest on a bridge to the cloud's network is warned about its MAC and raw frames", () => {
  const { 'own-macs': macs, 'raw-frames': frames } = judged(over('brv'));
  assert.equal(macs[0]?.verdict, 'warn');
  assert.match(macs[0]?.evidence ?? '', /brv leads out over up0, where Amazon EC2 delivers only/);
  assert.match(macs[0]?.evidence ?? '', new RegExp(`nothing reaches the guest's ${MAC}`));
  assert.equal(frames[0]?.verdict, 'warn');
  assert.match(frames[0]?.evidence ?? '', /carries IP alone.*RARP.*reaches nobody/);
  assert.match(frames[0]?.hint ?? '', /overlay.*routed/);
});

test('an overlay, or a bridge without an uplink, is not affected by a cloud', () => {
  for (const bridge of ['brx', 'br0']) {
    const { 'own-macs': macs, 'raw-frames': frames } = judged(over(bridge));
    assert.deepEqual([macs[0]?.verdict, frames[0]?.verdict], ['pass', 'pass']);
  }
});

test("a routed address needs the cloud's route, which the site's hook sets", () => {
  const [alone] = judged(ROUTED_PORT)['own-macs'];
  assert.equal(alone?.verdict, 'warn');
  assert.match(alone?.evidence ?? '', /delivers 10\.88\.0\.21 only to the machine/);
  assert.match(alone?.hint ?? '', /hook after-resume/);
  assert.equal(judged(ROUTED_PORT, EC2, ['after-resume'])['own-macs'][0]?.verdict, 'pass');
});

test('hosts outside known clouds have no cloud checks', () => {
  for (const landing of [over('brv'), ROUTED_PORT])
    assert.deepEqual(judged(landing, {}), { 'own-macs': [], 'raw-frames': [] });
});
