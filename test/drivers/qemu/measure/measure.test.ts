import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { placeIn } from '../../../../src/drivers/qemu/measure/measure.ts';
import { ProcessPages } from '../../../../src/drivers/qemu/measure/process-pages.ts';

test('where memory lies is read from QEMU’s words, and from nothing that only looks like them', () => {
  const said = 'Host virtual address for 0x0 (pc.ram) is 0x7f2bb7e00000\r\n';
  assert.deepEqual(placeIn(said), { name: 'pc.ram', address: 0x7f2bb7e00000 });
  const backend = 'Host virtual address for 0x0 (/objects/ram-node0) is 0x7f0000000000';
  assert.equal(placeIn(backend)?.name, 'ram-node0');
  for (const other of [
    'No memory is mapped at address 0x0',
    'unknown command: gpa2hva',
    '(pc.ram) is 0x7f2bb7e00001',
    '(pc.ram) is 0x7f2bb7e0000000000000',
  ])
    assert.equal(placeIn(other), undefined, other);
});

test('any words are either a place or none', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (name, digits) => {
      const place = placeIn(`Host virtual address for 0x0 (${name}) is 0x${digits}`);
      assert.ok(place === undefined || Number.isSafeInteger(place.address));
    }),
  );
});

test('pages of a process are read where they are, and not made where they are not', () => {
  const pages = new ProcessPages(process.pid, { address: 4096, bytes: 8192 });
  try {
    assert.equal(pages.count, 2);
    assert.equal(pages.state(0), 'absent');
    assert.equal(pages.read(0, Buffer.alloc(4096)), false);
  } finally {
    pages.close();
  }
});
