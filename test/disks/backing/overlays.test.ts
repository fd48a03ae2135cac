import assert from 'node:assert/strict';
import { linkSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { backingNameAt, backingPlaces, findOverlays } from '../../../src/disks/backing/overlays.ts';
import { overlayOf } from './images.ts';
import { tempDir } from '../../rpc/test-contract.ts';

function qedOf(name: string): Buffer {
  const image = Buffer.alloc(256 + name.length);
  image.writeUInt32BE(0x51_45_44_00, 0);
  image.writeBigUInt64LE(1n, 16);
  image.writeUInt32LE(128, 56);
  image.writeUInt32LE(name.length, 60);
  image.write(name, 128);
  return image;
}

const NONE = AbortSignal.timeout(60_000);

const search = async (images: string[], roots: string[] = [], directories: string[] = []) => {
  const { overlays, unread } = await findOverlays({ images, roots, directories }, NONE);
  return unread ?? overlays.map(({ overlay }) => path.basename(overlay)).toSorted();
};

test('an image in the same directory that names the file as its backing file is found, in any notation', async (t) => {
  const dir = tempDir(t);
  const base = path.join(dir, 'base.raw');
  writeFileSync(base, 'data');
  symlinkSync(base, path.join(dir, 'link'));
  linkSync(base, path.join(dir, 'hard'));
  const names = {
    absolute: base,
    relative: 'base.raw',
    dotted: '../' + path.basename(dir) + '/base.raw',
    prefixed: `file:${base}`,
    bySymlink: 'link',
    byHardLink: 'hard',
    json: `json:${JSON.stringify({ driver: 'raw', file: { driver: 'file', filename: base } })}`,
    flat: `json:${JSON.stringify({ driver: 'raw', 'file.filename': base })}`,
  };
  for (const [file, name] of Object.entries(names))
    writeFileSync(path.join(dir, file), overlayOf(name));
  writeFileSync(path.join(dir, 'qed'), qedOf('base.raw'));
  assert.deepEqual(await search([base]), [...Object.keys(names), 'qed'].toSorted());
});

test('images without a backing file, with another one, and files that are not images are skipped', async (t) => {
  const dir = tempDir(t);
  const base = path.join(dir, 'base.raw');
  writeFileSync(base, 'data');
  writeFileSync(path.join(dir, 'other'), overlayOf('other.raw'));
  writeFileSync(path.join(dir, 'none'), overlayOf(''));
  writeFileSync(path.join(dir, 'short'), 'QFI');
  writeFileSync(path.join(dir, 'text'), `${base}\n`.repeat(100));
  symlinkSync(path.join(dir, 'nowhere'), path.join(dir, 'dangling'));
  // The guest's own overlay is written to itself, and its base is not.
  writeFileSync(path.join(dir, 'top.qcow2'), overlayOf('base.raw'));
  assert.deepEqual(await search([path.join(dir, 'top.qcow2')]), []);
});

test('an overlay elsewhere in the storage, or next to another image of the guest, is found', async (t) => {
  const dir = tempDir(t);
  const base = path.join(dir, 'images', 'base.raw');
  for (const each of ['images', 'snapshots/today', 'elsewhere'])
    mkdirSync(path.join(dir, each), { recursive: true });
  writeFileSync(base, 'data');
  writeFileSync(path.join(dir, 'snapshots', 'today', 'deep'), overlayOf(base));
  writeFileSync(path.join(dir, 'elsewhere', 'side'), overlayOf(base));
  assert.deepEqual(await search([base], [dir]), ['deep', 'side']);
  assert.deepEqual(await search([base], [], [path.join(dir, 'elsewhere')]), ['side']);
});

test('an overlay that was created under another storage path is found by the end of its name', async (t) => {
  const dir = tempDir(t);
  const [own, other] = ['vm1', 'vm2'].map((each) => path.join(dir, each));
  for (const each of [own, other]) {
    mkdirSync(each ?? '');
    writeFileSync(path.join(each ?? '', 'disk.raw'), 'data');
  }
  writeFileSync(path.join(own ?? '', 'snap'), overlayOf('/elsewhere/vms/vm1/disk.raw'));
  assert.deepEqual(await search([path.join(own ?? '', 'disk.raw')], [dir]), ['snap']);
  assert.deepEqual(await search([path.join(other ?? '', 'disk.raw')], [dir]), []);
});

test("a directory of the guest's images that cannot be read is reported, not skipped", async (t) => {
  const dir = path.join(tempDir(t), 'gone');
  mkdirSync(dir);
  rmSync(dir, { recursive: true });
  assert.match(String(await search([path.join(dir, 'base.raw')])), /gone cannot be listed/);
});

test('an overlay of an RBD image, or of an image on a server, is known by its name', async (t) => {
  const dir = tempDir(t);
  const json = { driver: 'raw', file: { driver: 'rbd', pool: 'vms', image: 'web1' } };
  writeFileSync(path.join(dir, 'rbd'), overlayOf('rbd:vms/web1:id=godwit'));
  writeFileSync(path.join(dir, 'rbd-json'), overlayOf(`json:${JSON.stringify(json)}`));
  writeFileSync(path.join(dir, 'snapshot'), overlayOf('rbd:vms/web1@yesterday'));
  writeFileSync(path.join(dir, 'nfs'), overlayOf('nfs://server/export/web1.raw?uid=0'));
  assert.deepEqual(await search(['rbd:vms/web1:id=other:conf=/etc/ceph/x'], [dir]), [
    'rbd',
    'rbd-json',
  ]);
  assert.deepEqual(await search(['nfs://server/export/web1.raw?uid=5&gid=5'], [dir]), ['nfs']);
});

test('any bytes are read as a header without an error', () => {
  const header = fc.oneof(
    fc.uint8Array({ maxLength: 128 }),
    fc.uint8Array({ minLength: 64, maxLength: 128 }).map((bytes) => {
      const image = Buffer.from(bytes);
      image.writeUInt32BE(0x51_46_49_fb, 0);
      return image;
    }),
  );
  fc.assert(
    fc.property(header, (bytes) => {
      const found = backingNameAt(Buffer.from(bytes));
      return found === undefined || (found.at > 0 && found.bytes <= 1023);
    }),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json().map((text) => `json:${text}`),
      ),
      (name) => {
        return backingPlaces(name, '/srv').every((each) => typeof each === 'string');
      },
    ),
  );
});
