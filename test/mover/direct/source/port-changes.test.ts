import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PortNow } from '../../../../src/migration/guest-changes/ports.ts';
import type { NicNetwork } from '../../../../src/protocol/network.ts';
import { BEFORE, stage } from './changed-guest.ts';

const signal = new AbortController().signal;

describe('the ports of the guest', () => {
  const NIC: NicNetwork = {
    id: 'net0',
    mac: '52:54:00:00:00:02',
    port: 'tap1',
    addresses: [],
    attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500 },
  };
  const known = { snapshot: BEFORE, networks: [NIC] };
  const isolated: PortNow = {
    id: 'net0',
    attachment: { kind: 'bridge', bridge: 'br0', mtu: 1500, settings: { isolated: true } },
  };

  test("the guest's ports are compared before memory and the switch, and a change ends the move by name", async () => {
    const { changes, ports } = stage({ known });
    ports.now = [NIC];
    await changes.assertReady(signal);
    ports.now = [isolated];
    const refused = {
      code: 'GODWIT_GUEST_CHANGED',
      message:
        'web1 was changed while it moved: isolated of the port of net0 changed from unset to on',
    };
    await assert.rejects(changes.assertReady(signal), refused);
    await assert.rejects(changes.assertSame(signal), refused);
  });

  test('ports that cannot be read do not delay the guest, and the report warns', async () => {
    const { changes, ports } = stage({ known });
    ports.problem = new Error('tc is gone');
    await changes.assertSame(signal);
    const [check] = changes.checks();
    assert.equal(check?.name, 'port-settings');
    assert.equal(check?.verdict, 'warn');
    assert.match(check?.evidence ?? '', /tc is gone/);
    ports.problem = undefined;
    ports.now = [NIC];
    await changes.assertSame(signal);
    assert.deepEqual(changes.checks(), []);
  });

  test('ports are read by programs that were started before the guest stopped', async () => {
    const { changes, ports, later } = stage({ known });
    ports.now = [NIC];
    const over = new AbortController();
    const watching = changes.watch(() => undefined, over.signal);
    await changes.assertReady(signal);
    assert.equal(ports.ahead, 1);
    await later();
    assert.equal(ports.ahead, 2);
    over.abort(new Error('over'));
    await watching;
  });
});
