import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseNetwork, parseRamBlocks } from '../../../../src/drivers/qemu/spec/monitor-text.ts';

// As QEMU 10.0.2 writes them: the monitor ends its lines with CR LF.
const NETWORK =
  'nic0: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:a3:d7:45\r\n' +
  ' \\ net0: index=0,type=tap,ifname=tap1,script=no,downscript=no\r\n';
const BLOCKS =
  '              Block Name    PSize              Offset               Used              Total\r\n' +
  '                  pc.ram    4 KiB  0x0000000000000000 0x0000000010000000 0x0000000010000000\r\n';

for (const [ending, text] of [
  ['CR LF', (given: string) => given],
  ['LF', (given: string) => given.replaceAll('\r\n', '\n')],
] as const) {
  describe(`the monitor's text with ${ending} line ends`, () => {
    test('the text yields each network backend and its tap', () => {
      assert.deepEqual(parseNetwork(text(NETWORK)), [
        { id: 'nic0', type: 'nic' },
        { id: 'net0', type: 'tap', ifname: 'tap1' },
      ]);
    });

    test('the text yields the open file of a tap that was handed over', () => {
      const given = ' \\ hostnet0: index=0,type=tap,fd=21\r\n';
      assert.deepEqual(parseNetwork(text(given)), [{ id: 'hostnet0', type: 'tap', fd: 21 }]);
    });

    test('the text yields each RAM block and its size', () => {
      assert.deepEqual(parseRamBlocks(text(BLOCKS)), [{ name: 'pc.ram', bytes: 0x10000000 }]);
    });
  });
}
