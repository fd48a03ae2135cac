import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { diskParts } from '../../../../src/drivers/qemu/same-machine/disk-parts.ts';
import type { Part } from '../../../../src/drivers/qemu/same-machine/machine-parts.ts';
import type { BlockFacts, LiveNode } from '../../../../src/drivers/qemu/spec/disks/disk-facts.ts';
import { liveNode } from '../spec/samples.ts';

const node = (name: string, driver: string, bytes: number): LiveNode =>
  liveNode(name, driver, { bytes });

/** A qcow2 image on its file, as node names say it. */
function facts(image: string, file: string, fileBytes: number): BlockFacts {
  return {
    disks: [
      {
        drive: '',
        qdev: '/machine/peripheral-anon/device[3]',
        root: image,
        writeCache: true,
        builtIn: undefined,
      },
    ],
    nodes: [node(image, 'qcow2', 1024), node(file, 'file', fileBytes)],
    edges: [{ parent: image, child: file, role: 'file' }],
    jobs: [],
  };
}

function device(drive: string): Part {
  return { kind: 'device', place: 'q35-pcihost/d0', type: 'virtio-blk-pci', props: { drive } };
}

describe("images of a machine's disks", () => {
  test('each image is named by the device and its role, whatever QEMU calls its nodes', () => {
    const here = diskParts(facts('#block100', '#block012', 500), [device('#block100')]);
    const there = diskParts(facts('d0-image', 'd0-file', 500), [device('d0-image')]);
    assert.deepEqual(here, there);
    assert.deepEqual(
      here.map(({ place, type }) => [place, type]),
      [
        ['q35-pcihost/d0', 'drive'],
        ['q35-pcihost/d0/image', 'qcow2'],
        ['q35-pcihost/d0/image/file', 'file'],
      ],
    );
  });

  test('each image has the size that the guest sees, and not the size of a growing file', () => {
    const small = diskParts(facts('a', 'b', 500), [device('a')]);
    assert.deepEqual(small, diskParts(facts('a', 'b', 600), [device('a')]));
    assert.equal(small[1]?.props['bytes'], '1024');
  });

  test('each disk has its limits, whether its drive or a filter has them', () => {
    const plain = facts('d0', 'f0', 500);
    const [disk] = plain.disks;
    assert.ok(disk);
    const limits = { 'bps-total': 9 };
    const drive = diskParts({ ...plain, disks: [{ ...disk, limits }] }, [device('d0')]);
    const reported = { ...node('t0', 'throttle', 1024), file: 'json:{"throttle-group": "tg"}' };
    const filtered: BlockFacts = {
      disks: [{ ...disk, root: 't0' }],
      nodes: [reported, ...plain.nodes],
      edges: [{ parent: 't0', child: 'd0', role: 'file' }, ...plain.edges],
      jobs: [],
      groups: [{ id: 'tg', limits }],
    };
    assert.deepEqual(diskParts(filtered, [device('t0')]), drive);
    assert.equal(drive[0]?.props['limits.bps-total'], '9');
  });
});
