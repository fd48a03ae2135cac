import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeAddresses } from '../../src/network/addresses.ts';
import type { Landing } from '../../src/network/landing.ts';
import type { Attachment, NicNetwork } from '../../src/protocol/network.ts';
import { MAC, ROUTED_PORT } from './host-facts.ts';

const bridge: Attachment = { kind: 'bridge', bridge: 'br0', mtu: 1500 };
const vxlan = { device: 'vx', vni: 88, learning: false, flood: [] };

const nicOn = (attachment: Attachment): NicNetwork => ({
  id: 'net0',
  mac: MAC,
  port: 'tap1',
  addresses: ['10.88.0.21'],
  attachment,
});
const there: Landing = { kind: 'bridge', bridge: 'br1', mtu: 1500 };
const heard = (verdict: 'pass' | 'warn' | 'refuse') => ({ verdict });

test('a routed guest keeps its address by its host route, as soon as other hosts have the route', () => {
  const words = (hooks: string[]) =>
    judgeAddresses(nicOn(ROUTED_PORT), ROUTED_PORT, undefined, hooks)?.evidence ?? '';
  assert.match(words([]), /keeps 10\.88\.0\.21 by its host routes 10\.88\.0\.21\/32/);
  assert.match(words([]), /connections live on as soon as a routing daemon/);
  assert.match(words(['after-resume']), /as soon as the hook after-resume/);
});

test('a guest in an overlay or in one segment keeps its address and its connections', () => {
  const inOverlay = judgeAddresses(nicOn({ ...bridge, vxlan }), there, heard('pass'), []);
  assert.match(inOverlay?.evidence ?? '', /by the overlay, VNI 88; its connections live on/);
  const inSegment = judgeAddresses(nicOn(bridge), there, heard('pass'), []);
  assert.match(inSegment?.evidence ?? '', /by the segment of both hosts; its connections live on/);
});

test("a guest whose address cannot be kept loses its connections, and the hint names the site's options", () => {
  const found = judgeAddresses(nicOn(bridge), there, heard('warn'), []);
  assert.equal(found?.verdict, 'warn');
  assert.match(found?.evidence ?? '', /another segment.*its connections end/);
  assert.match(found?.hint ?? '', /host route or an overlay.*install the hook after-resume/);
  const withHook = judgeAddresses(nicOn(bridge), there, heard('warn'), ['after-resume']);
  assert.match(withHook?.hint ?? '', /may give the guest another address/);
});

test('an unrequested address is not guessed', () => {
  const notTried = { verdict: 'pass', notTried: true } as const;
  assert.equal(judgeAddresses(nicOn(bridge), there, notTried, []), undefined);
  assert.equal(judgeAddresses(nicOn(bridge), there, heard('refuse'), []), undefined);
});
