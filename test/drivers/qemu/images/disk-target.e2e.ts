import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { qemuPrograms } from '../../../conformance/qemu-place.ts';
import { contentOf } from '../mirror/content.ts';
import { MIB, withPair, type DiskPlan } from '../mirror/pair.ts';
import type { QmpClient } from '../../../../src/drivers/qemu/qmp/client.ts';

const BYTES = 64 * MIB;
const PLANS: DiskPlan[] = [
  { format: 'qcow2', bytes: BYTES, drive: true },
  {
    format: 'qcow2',
    bytes: BYTES,
    base: true,
    features: {
      'cluster-size': 131_072,
      'refcount-bits': 8,
      'lazy-refcounts': true,
      'extended-l2': true,
      'compression-type': 'zstd',
    },
  },
  { format: 'qcow2', bytes: BYTES + 512, features: { version: 'v2', 'cluster-size': 4096 } },
  { format: 'raw', bytes: BYTES + 512, drive: true },
];

interface BlockDeviceInfo {
  readonly 'node-name': string;
  readonly drv: string;
  readonly image: Readonly<Record<string, unknown>>;
}

/** What QEMU says of each image that a device writes to, in the order of the devices. */
async function imagesIn(client: QmpClient): Promise<object[]> {
  const blocks = (await client.execute('query-block', {})) as {
    qdev: string;
    inserted?: BlockDeviceInfo;
  }[];
  return blocks
    .filter(({ qdev, inserted }) => inserted !== undefined && qdev.includes('disk'))
    .toSorted((one, other) => (one.qdev < other.qdev ? -1 : 1))
    .map(({ inserted }) => {
      const { drv, image = {} } = inserted ?? {};
      const features = image['format-specific'];
      const below = [image['backing-filename'], image['backing-filename-format']];
      return { drv, size: image['virtual-size'], cluster: image['cluster-size'], features, below };
    });
}

for (const { file: program, version } of await qemuPrograms()) {
  describe(`images created for a guest by QEMU ${version}`, () => {
    test('the images have the size, features and backing file of the originals', async () => {
      await withPair(program, PLANS, async (pair) => {
        const { source, target, beside, nodes, signal, served, files } = pair;
        assert.deepEqual(nodes, ['disk0-image', 'node1', 'node2', 'disk3-image']);
        const [here, there] = [await imagesIn(beside.source), await imagesIn(beside.destination)];
        assert.equal(here.length, PLANS.length);
        assert.deepEqual(there, here);
        for (const disk of nodes.keys()) await pair.io(disk, 'write -P 0x1d 40M 256k');
        await pair.io(3, `write -P 0x1e ${BYTES} 512`);
        await source.start(nodes, pair.joint.near, signal);
        await target.serve(nodes, served, signal);
        await pair.ready();
        await beside.source.execute('stop', {});
        await source.finish(nodes, signal);
        await target.end(signal);
        for (const [disk, { format }] of PLANS.entries()) {
          const [from = '', to = ''] = [files.source[disk], files.destination[disk]];
          assert.equal(
            await contentOf(program, to, format),
            await contentOf(program, from, format),
            `disk ${disk}`,
          );
        }
      });
    });

    test('the images never replace existing files, and need known features', async () => {
      await withPair(program, [{ format: 'qcow2', bytes: BYTES }], async (pair) => {
        const { target, found, nodes, files, signal } = pair;
        const [node = '', file = ''] = [nodes[0], files.destination[0]];
        const again = target.create(found.description, [{ node, file }], signal);
        await assert.rejects(again, (error: Error) => /is there already/.test(error.message));
        const spec = JSON.stringify(found.description.spec).replace(/"make":\{[^}]*\},?/, '');
        const unknown = { ...found.description, spec: JSON.parse(spec) };
        const blank = [{ node, file: `${file}.other` }];
        await assert.rejects(target.create(unknown, blank, signal), /with which features/);
      });
    });
  });
}
