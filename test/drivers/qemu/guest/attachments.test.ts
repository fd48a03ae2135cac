import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routedPorts } from '../../../../src/drivers/qemu/guest/attachments.ts';

test("a port is routed if a host route leads to it, and the host's own address is not", () => {
  const v4 = [
    'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT',
    'eth0\t00000000\t0101010A\t0003\t0\t0\t0\t00000000\t0\t0\t0',
    'tap2\t1500580A\t00000000\t0005\t0\t0\t0\tFFFFFFFF\t0\t0\t0',
  ].join('\n');
  const host = 'fd000000000000000000000000000021';
  const own = 'fe800000000000000000000000000001';
  const any = '0'.repeat(32);
  const row = (destination: string, flags: string, port: string): string =>
    `${destination} 80 ${any} 00 ${any} 00000400 00000001 00000000 ${flags}     ${port}`;
  const v6 = [row(host, '00000001', 'tap3'), row(own, '80200001', 'tap4')].join('\n');
  assert.deepEqual([...routedPorts(v4, v6)].toSorted(), ['tap2', 'tap3']);
  assert.deepEqual([...routedPorts('', '')], []);
});
