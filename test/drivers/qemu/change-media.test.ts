import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { changeMedia, describeMedia } from '../../../src/drivers/qemu/change-media.ts';
import type { BlockNode } from '../../../src/drivers/qemu/spec/disks/disk-schema.ts';

const OWNER = { host: 'b', guest: 'web1' };
const signal = new AbortController().signal;

const node = (more: Partial<BlockNode> = {}): BlockNode => ({
  node: 'cd0-image',
  format: 'raw',
  file: 'cd0-file',
  readOnly: true,
  direct: false,
  discard: 'ignore',
  fileDiscard: 'ignore',
  detectZeroes: 'off',
  aio: 'threads',
  locking: 'auto',
  tuning: {},
  ...more,
});
const DISKS = [
  {
    name: 'cd0',
    images: [{ node: 'cd0-image', format: 'raw' as const, bytes: 2048, readOnly: true }],
  },
];
const FILES = new Map([['cd0-image', '/iso/one.iso']]);

describe('a medium at the destination', () => {
  test('the medium is the image of the description, by its local path', () => {
    const [medium] = describeMedia(OWNER, ['cd0'], DISKS, [node()], FILES);
    assert.equal(medium?.top, 'cd0-image');
    const [file, image] = (medium?.nodes ?? []) as { filename?: string; 'read-only'?: boolean }[];
    assert.deepEqual([file?.filename, file?.['read-only']], ['/iso/one.iso', true]);
    assert.equal(image?.['read-only'], true);
  });

  test('a drive that is not a disk of the description has no medium', () => {
    assert.deepEqual(describeMedia(OWNER, ['cd1'], DISKS, [node()], FILES), [
      { drive: 'cd1', nodes: [] },
    ]);
  });

  for (const [what, more, files, reason] of [
    ['may be written to', { readOnly: false }, FILES, /may write to its medium/],
    ['is encrypted', { luks: true }, FILES, /is encrypted/],
    ['has no place here', {}, new Map(), /no place is known/],
    ['is on a network', {}, new Map([['cd0-image', 'nfs://s/e/x.iso']]), /its own client/],
  ] as const) {
    test(`the medium is refused by name if it ${what}`, () => {
      assert.throws(() => describeMedia(OWNER, ['cd0'], DISKS, [node(more)], files), {
        code: 'GODWIT_DISK_MISSING',
        message: reason,
      });
    });
  }
});

/** A monitor with one drive, which has a medium on two nodes. */
function monitor(inserted = true, removable = true) {
  const orders: string[] = [];
  const answers: Record<string, unknown> = {
    'query-block': [
      {
        device: '',
        qdev: '/machine/peripheral/cd0/virtio-backend',
        removable,
        ...(inserted ? { inserted: { 'node-name': 'old' } } : {}),
      },
    ],
    'x-debug-query-block-graph': {
      nodes: [
        { id: 1, type: 'block-driver', name: 'old' },
        { id: 2, type: 'block-driver', name: 'old-file' },
        { id: 3, type: 'block-driver', name: 'disk' },
      ],
      edges: [{ parent: 1, child: 2, name: 'file' }],
    },
  };
  return {
    orders,
    client: {
      query: async (command: string) => answers[command] as never,
      execute: async (command: string, args: object) => {
        const { 'node-name': name = '' } = args as { 'node-name'?: string };
        orders.push(`${command} ${name}`.trim());
      },
    },
  };
}

describe('a change of the medium', () => {
  const media = describeMedia(OWNER, ['cd0'], DISKS, [node()], FILES);

  test('a change removes the old medium with its nodes, opens the new one, and leaves the tray closed', async () => {
    const { client, orders } = monitor();
    await changeMedia(client, OWNER, media, signal);
    assert.deepEqual(orders, [
      'blockdev-open-tray',
      'blockdev-remove-medium',
      'blockdev-del old',
      'blockdev-del old-file',
      'blockdev-add cd0-file',
      'blockdev-add cd0-image',
      'blockdev-insert-medium cd0-image',
      'blockdev-close-tray',
    ]);
  });

  test('a change inserts into an empty drive, and may only remove from a full one', async () => {
    const empty = monitor(false);
    await changeMedia(empty.client, OWNER, media, signal);
    assert.ok(!empty.orders.includes('blockdev-remove-medium'));
    const full = monitor();
    await changeMedia(full.client, OWNER, [{ drive: 'cd0', nodes: [] }], signal);
    assert.deepEqual(full.orders.at(-1), 'blockdev-close-tray');
    assert.ok(!full.orders.some((order) => order.startsWith('blockdev-add')));
  });

  test('a change is refused if the destination has no such drive for media', async () => {
    const { client, orders } = monitor(true, false);
    await assert.rejects(changeMedia(client, OWNER, media, signal), {
      code: 'GODWIT_DISK_MISSING',
      message: /no such drive/,
    });
    assert.deepEqual(orders, []);
  });
});
