import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  judgeGivenUp,
  hasCommonNumbers,
  identifyImages,
  judgeIdentified,
  inodeIn,
  judgeIdentity,
  REMOVED,
  REPLACED,
  SWAPPED,
  judgeUsers,
  type FileUser,
  type GivenUp,
  type LeavingImage,
  whyOtherOpened,
  OTHER_THERE,
  OTHER_OPENED,
} from '../../src/migration/image-identity.ts';

/** A host's files as a model: each has numbers for good, and names come and go. */
interface Files {
  readonly names: Map<string, number>;
  next: number;
}
const PATHS = ['/d/a', '/d/b', '/d/c'] as const;
const change = fc.oneof(
  fc.record({ what: fc.constant('replace' as const), at: fc.constantFrom(...PATHS) }),
  fc.record({ what: fc.constant('remove' as const), at: fc.constantFrom(...PATHS) }),
  fc.record({
    what: fc.constant('rename' as const),
    at: fc.constantFrom(...PATHS),
    to: fc.constantFrom(...PATHS, '/d/elsewhere'),
  }),
);
type Change = { what: 'replace' | 'remove' | 'rename'; at: string; to?: string };

function after(files: Files, { what, at, to = at }: Change): void {
  const there = files.names.get(at);
  if (what === 'replace') files.names.set(at, files.next++);
  else if (there !== undefined) {
    files.names.delete(at);
    if (what === 'rename') files.names.set(to, there);
  }
}

const idOf = (number: number): string => `7:${number}`;

describe('the identity of an image', () => {
  test("an image's identity is recorded exactly if the hypervisor has the file at its path open", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 6 }), (changes) => {
        const files: Files = { names: new Map(PATHS.map((path, at) => [path, at])), next: 10 };
        const images = PATHS.map((file, at) => ({ node: `n${at}`, device: `vd${at}`, file }));
        const open = new Set(PATHS.map((_, at) => idOf(at)));
        for (const each of changes) after(files, each);
        const atPath = new Map([...files.names].map(([file, number]) => [file, idOf(number)]));
        const seen = identifyImages(images, atPath, open);
        for (const { node, file } of images) {
          const number = files.names.get(file);
          const isOpen = number !== undefined && number < PATHS.length;
          assert.equal(seen.identities.get(node), isOpen ? idOf(number) : undefined);
          const strange = seen.strange.find(({ image }) => image.node === node);
          const reason = number === undefined ? REMOVED : REPLACED;
          assert.equal(strange?.reason, isOpen ? undefined : reason);
        }
        const verdicts = judgeIdentified('db1', seen).map(({ verdict }) => verdict);
        assert.equal(verdicts.includes('refuse'), seen.strange.length > 0);
        assert.equal(verdicts.includes('pass'), seen.strange.length === 0);
      }),
    );
  });

  test('an unknown identity is a warning, and a guest without such images is not checked for it', () => {
    const [unknown] = judgeIdentified('db1', 'EACCES');
    assert.equal(unknown?.verdict, 'warn');
    assert.deepEqual(judgeIdentified('db1', identifyImages([], new Map(), new Set())), []);
  });

  test("a mismatch names the disk, the file and the reason if another file has the image's path", () => {
    const image = { node: 'n', device: 'vda', file: '/d/a' };
    const seen = identifyImages([image], new Map([['/d/a', '7:9']]), new Set(['7:1']));
    const [check] = judgeIdentified('db1', seen);
    assert.equal(check?.error?.code, 'GODWIT_DISK_REPLACED');
    assert.match(check?.evidence ?? '', /vda of db1 \(\/d\/a\) cannot move: the file at this path/);
  });

  test('a change of a file is allowed only if its identity was recorded and is still the same', () => {
    const id = fc.option(fc.constantFrom('7:1', '7:2:10', 'device:1'), { nil: undefined });
    fc.assert(
      fc.property(id, id, (taken, now) => {
        const isSame = taken !== undefined && taken === now;
        assert.equal(judgeIdentity(taken, now) === 'same', isSame && taken !== '7:1');
        assert.equal(judgeIdentity(taken, now, true) === 'same', isSame);
      }),
    );
    // The number was given again; and a birth time that only one of them has proves nothing.
    assert.equal(judgeIdentity('7:2:10', '7:2:11'), 'other');
    assert.equal(judgeIdentity('7:2:10', '7:2:11', true), 'other');
    assert.equal(judgeIdentity('7:1', '7:1:10'), 'unknown');
    assert.equal(judgeIdentity('7:1', '7:1:10', true), 'same');
    assert.equal(judgeIdentity('7:1', undefined), 'gone');
    assert.equal(judgeIdentity(undefined, '7:1'), 'unknown');
    assert.equal(judgeIdentity('7:2', '7:1'), 'other');
  });

  test("the hosts compare an image's number if the proof file has the same number at both", () => {
    assert.deepEqual(
      [inodeIn('7:12'), inodeIn('device:12'), inodeIn(undefined)],
      ['12', undefined, undefined],
    );
    assert.equal(hasCommonNumbers('12', '12'), true);
    assert.equal(hasCommonNumbers('12', '13'), false);
    assert.equal(hasCommonNumbers(undefined, undefined), false);
  });
});

describe('two images of one guest', () => {
  const image = (node: string, allocatedBytes?: number) => {
    return { node, device: node, file: `/d/${node}`, allocatedBytes };
  };
  const atPath = new Map([
    ['/d/a', '7:1'],
    ['/d/b', '7:2'],
  ]);
  const strange = (
    a: number | undefined,
    b: number | undefined,
    there: [number, number],
  ): string[] => {
    const allocated = new Map([
      ['/d/a', there[0]],
      ['/d/b', there[1]],
    ]);
    const images = [image('a', a), image('b', b)];
    const found = identifyImages(images, atPath, new Set(['7:1', '7:2']), allocated);
    return found.strange.map((each) => `${each.image.node}: ${each.reason}`);
  };

  test('two images that swapped their names are distinguished by their sizes on storage', () => {
    assert.deepEqual(strange(4096, 8192, [8192, 4096]), [`a: ${SWAPPED}`, `b: ${SWAPPED}`]);
  });

  test('two images are unchanged if one grows, uses as much as the other, or is unknown', () => {
    assert.deepEqual(strange(4096, 8192, [8192, 8192]), []);
    assert.deepEqual(strange(4096, 8192, [4096, 12_288]), []);
    assert.deepEqual(strange(4096, 4096, [4096, 4096]), []);
    assert.deepEqual(strange(undefined, 8192, [8192, 4096]), []);
  });
});

describe('other users of a copied image', () => {
  const identity = fc.constantFrom('7:1', '7:2', '7:3', 'device:4');
  const users = fc.array(
    fc.record({ identity, by: fc.constantFrom('x', 'y'), mayWrite: fc.boolean() }),
    { maxLength: 4 },
  );
  const leaving = fc.uniqueArray(
    fc.record({ identity, how: fc.constantFrom('copied' as const, 'read' as const) }),
    { maxLength: 3, selector: ({ identity: id }) => id },
  );
  const named = (all: readonly Pick<LeavingImage, 'identity' | 'how'>[]): LeavingImage[] =>
    all.map((each, at) => ({ ...each, node: `n${at}`, device: `vd${at}`, file: `/d/${at}` }));

  test('other users of a copied image refuse it by name: any for a removed file, else only writers', () => {
    fc.assert(
      fc.property(leaving, users, (all, others) => {
        const images = named(all);
        const checks = judgeUsers('db1', images, { users: others, unseen: [] });
        const harmed = images.filter(({ identity: own, how }) =>
          others.some(
            (user) =>
              user.identity === own &&
              (user.mayWrite || (how === 'copied' && !own?.startsWith('device:'))),
          ),
        );
        const refused = checks.filter(({ verdict }) => verdict === 'refuse');
        assert.equal(refused.length, harmed.length);
        for (const { file } of harmed)
          assert.ok(refused.some(({ evidence }) => evidence.includes(file)));
        if (images.length > 0 && harmed.length === 0)
          assert.deepEqual(
            checks.map(({ verdict }) => verdict),
            ['pass'],
          );
      }),
    );
  });

  test("other users of a copied image include the guest's other disk on the same file", () => {
    const images = named([
      { identity: '7:1', how: 'copied' },
      { identity: '7:1', how: 'copied' },
    ]);
    const checks = judgeUsers('db1', images, { users: [], unseen: [] });
    assert.deepEqual(
      checks.map(({ error }) => error?.code),
      ['GODWIT_DISK_IN_USE', 'GODWIT_DISK_IN_USE'],
    );
    assert.match(checks[0]?.evidence ?? '', /the guest’s own disk vd1 has it open as well/);
  });

  test('other users of a copied image are never reported as none if a program or file is unknown', () => {
    const [image] = named([{ identity: '7:1', how: 'copied' }]);
    const [unseen] = judgeUsers('db1', image === undefined ? [] : [image], {
      users: [],
      unseen: ['process 7 (backup)'],
    });
    assert.equal(unseen?.verdict, 'warn');
    assert.match(unseen?.evidence ?? '', /not known whether process 7 \(backup\) uses it/);
    const [unknown] = judgeUsers('db1', named([{ identity: undefined, how: 'copied' }]), {
      users: [],
      unseen: [],
    });
    assert.equal(unknown?.verdict, 'warn');
    assert.match(unknown?.evidence ?? '', /not known which file \/d\/0 is/);
  });

  test('other users of a copied image are all named, up to a limit', () => {
    const many: FileUser[] = Array.from({ length: 40 }, (_, at) => ({
      identity: '7:1',
      by: `process ${at} (x)`,
      mayWrite: true,
    }));
    const [check] = judgeUsers('db1', named([{ identity: '7:1', how: 'read' }]), {
      users: many,
      unseen: [],
    });
    assert.match(check?.evidence ?? '', /process 0 \(x\), process 1 \(x\), .*have it open as well/);
    assert.doesNotMatch(check?.evidence ?? '', /process 30 /);
  });
});

test('a report of images that were given up warns exactly if one was left, and names each', () => {
  const outcome: fc.Arbitrary<GivenUp> = fc.oneof(
    fc.record({
      file: fc.constantFrom('/d/a', '/d/b'),
      became: fc.constantFrom(
        'removed' as const,
        'kept' as const,
        'device' as const,
        'gone' as const,
      ),
    }),
    fc.record({
      file: fc.constantFrom('/d/c'),
      became: fc.constant('left' as const),
      why: fc.constant(REPLACED),
    }),
  );
  fc.assert(
    fc.property(fc.array(outcome, { maxLength: 4 }), (all) => {
      const checks = judgeGivenUp(all, 'NAME.moved-m1');
      assert.equal(checks.length, all.length === 0 ? 0 : 1);
      const isLeft = all.some(({ became }) => became === 'left');
      if (all.length > 0) assert.equal(checks[0]?.verdict, isLeft ? 'warn' : 'pass');
      for (const { file } of all) assert.ok(checks[0]?.evidence.includes(file));
    }),
  );
});

describe('a hypervisor that was started for a guest', () => {
  const image = (node: string) => ({ node, device: node, file: `/d/${node}` });
  const seen = (identity: string, ...strange: string[]) => ({
    identities: new Map([['a', identity]]),
    strange: strange.map((node) => ({ image: image(node), reason: REPLACED })),
  });

  test("a hypervisor has opened the guest's images if their numbers match the source's", () => {
    assert.equal(whyOtherOpened([{ node: 'a', inode: '12' }], seen('7:12:99')), undefined);
    assert.equal(whyOtherOpened([{ node: 'a' }], seen('7:13')), undefined);
    assert.equal(whyOtherOpened([{ node: 'a', inode: '12' }], seen('device:13')), undefined);
    assert.equal(whyOtherOpened([{ node: 'b', inode: '12' }], seen('7:13')), undefined);
    const other = whyOtherOpened([{ node: 'a', inode: '12' }], seen('7:13'));
    assert.deepEqual(other, { node: 'a', reason: OTHER_THERE });
  });

  test('a hypervisor has not opened an image whose path is now another file', () => {
    const other = whyOtherOpened([], seen('7:12', 'b'));
    assert.deepEqual(other, { node: 'b', reason: OTHER_OPENED });
  });
});
