import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  changeWords,
  compareGuests,
  withMedia,
  type MoveFacts,
} from '../../../src/migration/guest-changes/compare.ts';
import {
  guestPartOf,
  guestSnapshot,
  PART_KINDS,
  type GuestPart,
  type GuestSnapshot,
  type PartKind,
} from '../../../src/migration/guest-changes/snapshot.ts';

const SHARED: MoveFacts = { copiesDisks: false, carriesMedia: false, unplugs: [] };
const COPIED: MoveFacts = { ...SHARED, copiesDisks: true };
const TELLING: MoveFacts = { ...COPIED, carriesMedia: true };

const guest = (...parts: [PartKind, string, string][]): GuestSnapshot => ({
  parts: parts.map(([kind, name, value]) => ({ kind, name, value })),
});

const BASE: [PartKind, string, string][] = [
  ['disk', 'disk0', 'raw:/srv/g1.img on file:/srv/g1.img'],
  ['size', 'disk0', '67108864'],
  ['device', 'root0/disk0', 'virtio-blk-pci 00aa'],
  ['device', 'root0/disk0/virtio-blk-device', 'virtio-blk-device 00ab'],
  ['backend', 'net0', 'tap'],
  ['processors', 'all', '1'],
  ['memory', 'all', '268435456'],
];

function told(after: GuestSnapshot, move = SHARED): string | undefined {
  return changeWords(compareGuests(guest(...BASE), after, move));
}

const part = fc
  .record({
    kind: fc.constantFrom(...PART_KINDS),
    name: fc.stringMatching(/^[a-z]{1,3}(\/[a-z]{1,2}){0,2}$/),
    value: fc.stringMatching(/^[a-z0-9]{0,6}$/),
  })
  .map((each): GuestPart => each);
const snapshots = fc
  .uniqueArray(part, { selector: ({ kind, name }) => `${kind} ${name}`, maxLength: 12 })
  .map((parts): GuestSnapshot => ({ parts }));

describe('comparison of a guest with itself', () => {
  test('a guest compared with itself has no change, in whatever order its parts are read', () => {
    fc.assert(
      fc.property(snapshots, fc.boolean(), ({ parts }, copiesDisks) => {
        const shuffled = { parts: parts.toReversed() };
        assert.deepEqual(compareGuests({ parts }, shuffled, { ...SHARED, copiesDisks }), []);
      }),
    );
  });

  test('every difference of a guest is reported by one of its parts, and nothing else is', () => {
    fc.assert(
      fc.property(snapshots, snapshots, (before, after) => {
        const changes = compareGuests(before, after, SHARED);
        const same =
          JSON.stringify(before.parts.map((each) => JSON.stringify(each)).toSorted()) ===
          JSON.stringify(after.parts.map((each) => JSON.stringify(each)).toSorted());
        assert.equal(changes.length === 0, same);
        for (const { words, type, kind, name } of changes) {
          assert.ok(words.length > 0 && !words.endsWith('.'));
          const isIn = ({ parts }: GuestSnapshot): boolean =>
            parts.some((each) => each.kind === kind && each.name === name);
          assert.deepEqual([isIn(before), isIn(after)], [type !== 'added', type !== 'removed']);
        }
        assert.ok((changeWords(changes) ?? '').length <= 2048);
      }),
    );
  });

  test('a guest compares as unchanged once its change is undone', () => {
    fc.assert(
      fc.property(snapshots, snapshots, (before, after) => {
        const there = compareGuests(before, after, SHARED).map(
          ({ kind, name }) => `${kind} ${name}`,
        );
        const back = compareGuests(after, before, SHARED).map(
          ({ kind, name }) => `${kind} ${name}`,
        );
        assert.deepEqual(there.toSorted(), back.toSorted());
      }),
    );
  });
});

describe("the owner's changes", () => {
  const cases: [string, GuestSnapshot, string][] = [
    [
      'an external snapshot',
      guest(
        ['disk', 'disk0', 'qcow2:/srv/g1.over on raw:/srv/g1.img'],
        ...BASE.filter(([kind]) => kind !== 'disk'),
      ),
      'the image of disk0 changed from raw /srv/g1.img to qcow2 /srv/g1.over',
    ],
    [
      'a disk that is plugged in',
      guest(
        ...BASE,
        ['device', 'root1/disk1', 'virtio-blk-pci 00ac'],
        ['device', 'root1/disk1/virtio-blk-device', 'virtio-blk-device 00ad'],
        ['disk', 'disk1', 'raw:/srv/two.img'],
        ['size', 'disk1', '1048576'],
      ),
      'the device disk1 (virtio-blk-pci) was plugged in',
    ],
    [
      'a disk that is unplugged',
      guest(...BASE.filter(([, name]) => !name.includes('disk0'))),
      'the device disk0 (virtio-blk-pci) was unplugged',
    ],
    [
      'a backup job',
      guest(...BASE, ['job', 'vzdump', 'backup']),
      'another program began the backup job vzdump on its disks',
    ],
    [
      'a medium',
      guest(...BASE, ['medium', 'cd0', 'raw,read-only:/iso/two.iso']),
      'a medium was put into cd0: raw /iso/two.iso',
    ],
    [
      'a processor',
      guest(...BASE.filter(([kind]) => kind !== 'processors'), ['processors', 'all', '2']),
      'the number of its processors changed from 1 to 2',
    ],
  ];
  for (const [what, after, words] of cases) {
    test(`an owner's change undoes the move by name: ${what}`, () =>
      assert.equal(told(after), words));
  }

  test('a bitmap in memory undoes the move wherever the disks are, since it would end with the source', () => {
    const after = guest(...BASE, ['bitmap', 'b0 of disk0', 'memory,65536']);
    assert.equal(told(after), 'the dirty bitmap b0 of disk0 was added');
    assert.equal(told(guest(...BASE, ['bitmap', 'b0 of disk0', 'kept,65536'])), undefined);
  });

  test('an internal snapshot undoes a move that copies its disk, and is in a shared image', () => {
    const after = guest(...BASE, ['snapshot', 'before-upgrade (1) of disk0', '/srv/g1.img']);
    assert.equal(
      told(after, COPIED),
      'the internal snapshot before-upgrade (1) of disk0 was taken',
    );
    assert.equal(told(after), undefined);
  });

  test('a changed medium is carried over with its size if the destination can be told', () => {
    const iso = (name: string, size: string): [PartKind, string, string][] => [
      ['medium', 'cd0', `raw,read-only:/iso/${name}.iso`],
      ['size', 'cd0', size],
    ];
    const [none, one, two] = [
      guest(...BASE),
      guest(...BASE, ...iso('one', '10')),
      guest(...BASE, ...iso('two', '20')),
    ];
    for (const [before, after, words] of [
      [none, one, 'a medium was put into cd0: raw /iso/one.iso'],
      [one, two, 'the medium of cd0 was changed from raw /iso/one.iso to raw /iso/two.iso'],
      [two, none, 'the medium of cd0 was taken out: raw /iso/two.iso'],
    ] as const) {
      const changes = compareGuests(before, after, TELLING);
      assert.equal(changeWords(changes), undefined);
      assert.equal(changeWords(changes, 'to-carry'), words);
      assert.deepEqual(compareGuests(withMedia(before, after, ['cd0']), after, TELLING), []);
      assert.equal(changeWords(compareGuests(before, after, COPIED)), words);
    }
  });

  test('a resized disk is carried over on shared storage, and undoes a move that copies it', () => {
    const after = guest(...BASE.filter(([kind]) => kind !== 'size'), [
      'size',
      'disk0',
      '134217728',
    ]);
    const [change] = compareGuests(guest(...BASE), after, SHARED);
    assert.equal(change?.verdict, 'carried');
    assert.equal(change?.words, 'disk0 was resized from 64 MiB to 128 MiB');
    assert.equal(told(after), undefined);
    assert.equal(told(after, COPIED), change?.words);
  });

  test('a job, an export or a bitmap that ends leaves nothing to carry over', () => {
    const before = guest(...BASE, ['job', 'j', 'backup'], ['export', 'e', 'nbd']);
    const changes = compareGuests(before, guest(...BASE), SHARED);
    assert.deepEqual(new Set(changes.map(({ verdict }) => verdict)), new Set(['harmless']));
    assert.equal(changeWords(changes), undefined);
  });

  test('a device that the move itself unplugs is not a change, nor are the devices on its buses', () => {
    const after = guest(
      ...BASE.filter(([kind, name]) => kind !== 'device' || !name.includes('disk0')),
    );
    assert.equal(told(after, { ...SHARED, unplugs: ['disk0'] }), undefined);
  });

  test('a long list of changes is reported by the first few and their number', () => {
    const more = Array.from({ length: 9 }, (_, at): [PartKind, string, string] => [
      'object',
      `o${at}`,
      'secret',
    ]);
    assert.match(told(guest(...BASE, ...more)) ?? '', /; and 5 more changes$/);
  });

  test('a part of a kind that a newer build wrote is compared as a device', () => {
    const after = { parts: [...guest(...BASE).parts, { kind: 'newer', name: 'x', value: 'y z' }] };
    assert.equal(told(after), 'the device x (y) was plugged in');
  });
});

test('a changed port is named, and one that an earlier build did not read is not a change', () => {
  const port = (value: string): GuestSnapshot => guest(...BASE, ['port', 'net0', value]);
  const changed = compareGuests(port('the bridge br0'), port('the bridge br0, flood off'), SHARED);
  assert.equal(
    changeWords(changed),
    'the port of net0 changed from the bridge br0 to the bridge br0, flood off',
  );
  assert.equal(told(port('the bridge br0')), undefined);
  assert.equal(
    changeWords(compareGuests(port('the bridge br0'), guest(...BASE), SHARED)),
    undefined,
  );
});

test('each part fits the journal, and long values that differ stay different', () => {
  const digest = (text: string): string => String(text.length).padStart(64, text.slice(-1) || '0');
  fc.assert(
    fc.property(fc.constantFrom(...PART_KINDS), fc.string(), fc.nat(4), (kind, text, times) => {
      const long = text.repeat(times * 50);
      const parts = ['a', 'b'].map((last) => guestPartOf(kind, long, `${long}${last}`, digest));
      assert.deepEqual(guestSnapshot.parse({ parts }).parts, parts);
      assert.notEqual(parts[0]?.value, parts[1]?.value);
    }),
  );
});
