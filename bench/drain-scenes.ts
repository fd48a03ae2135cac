import type { PlannerGuest, PlannerHost } from '../src/planner/inventory.ts';
import type { Scene } from '../sim/fleet/drain-world.ts';
import { Random } from '../sim/random.ts';

const GIB = 1024 ** 3;
/** bytes/s of a link of so many Gbit/s. */
const gbit = (rate: number): number => (rate * 1e9) / 8;

interface Sizes {
  readonly gib: readonly number[];
  /** MB/s that a guest writes, and how much of its memory it writes again and again. */
  readonly dirty: readonly number[];
  readonly hot: number;
}

const MIXED: Sizes = { gib: [2, 4, 4, 8, 16], dirty: [0, 1, 1, 5, 20], hot: 0.1 };
const WRITERS: Sizes = { gib: [4, 8, 16], dirty: [1, 20, 40, 80], hot: 0.08 };

function host(name: string, rate: number, memory: number, site?: string): PlannerHost {
  return {
    name,
    cpu: 64,
    coreCpu: 1,
    memoryBytes: memory * GIB,
    on: true,
    linkBytesPerSecond: gbit(rate),
    ...(site === undefined ? {} : { site }),
  };
}

function guests(on: string, count: number, sizes: Sizes, seed: number): PlannerGuest[] {
  const random = new Random(seed);
  return Array.from({ length: count }, (_, index) => {
    const memoryBytes = random.pick(sizes.gib) * GIB;
    const usedBytes = memoryBytes * random.between(0.4, 0.95);
    return {
      name: `${on}-${index}`,
      host: on,
      memoryBytes,
      usedBytes,
      cpu: 1,
      demand: [0.2, 0.2, 0.2, 0.2],
      dirtyBytesPerSecond: random.pick(sizes.dirty) * 1e6,
      workingSetBytes: usedBytes * sizes.hot,
    };
  });
}

/** `uneven`: links differ, so that where a guest goes and how many move at a time matter. */
export interface DrainScene extends Scene {
  readonly uneven: boolean;
}

export const SCENES: readonly DrainScene[] = [
  {
    // A fast host, and the one with most memory free has a tenth of its link.
    name: 'old-big',
    uneven: true,
    hosts: [host('a', 10, 512), host('old', 1, 1024), host('b', 10, 256), host('c', 10, 256)],
    guests: guests('a', 40, MIXED, 1),
    trunks: [],
    drained: ['a'],
  },
  {
    // One fast link out, slow ones in: only several at a time fill it.
    name: 'many-slow',
    uneven: true,
    hosts: [
      host('a', 10, 512),
      ...['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((name) => host(name, 1, 256)),
    ],
    guests: guests('a', 48, MIXED, 2),
    trunks: [],
    drained: ['a'],
  },
  {
    // Links of three speeds, one more memory the slower it is.
    name: 'three-speeds',
    uneven: true,
    hosts: [host('a', 10, 512), host('b', 10, 192), host('c', 2.5, 320), host('d', 1, 768)],
    guests: guests('a', 36, MIXED, 3),
    trunks: [],
    drained: ['a'],
  },
  {
    // Guests that write much; slow links make them send it again.
    name: 'writers',
    uneven: true,
    hosts: [host('a', 10, 512), host('b', 10, 256), host('c', 1, 512), host('d', 1, 512)],
    guests: guests('a', 30, WRITERS, 4),
    trunks: [],
    drained: ['a'],
  },
  {
    // Movers are slower than the link: one at a time leaves most of it idle.
    name: 'fat',
    uneven: true,
    hosts: [host('a', 25, 1024), host('b', 25, 768), host('c', 10, 1024), host('d', 25, 768)],
    guests: guests('a', 60, { ...MIXED, gib: [4, 8, 16, 32] }, 5),
    trunks: [],
    drained: ['a'],
  },
  {
    // One guest as large as a third of the others together, and it is the last in the list.
    name: 'giant',
    uneven: true,
    hosts: [host('a', 10, 512), host('b', 10, 320), host('c', 2.5, 512)],
    guests: [
      ...guests('a', 30, MIXED, 6),
      {
        ...guests('giant', 1, { gib: [96], dirty: [20], hot: 0.05 }, 7)[0],
        host: 'a',
      } as PlannerGuest,
    ],
    trunks: [],
    drained: ['a'],
  },
  {
    // A rack is evacuated: some of its guests stay on the site, the others share a trunk.
    name: 'rack',
    uneven: true,
    hosts: [
      host('a', 10, 256, 'north'),
      host('b', 10, 256, 'north'),
      host('c', 10, 320, 'north'),
      host('d', 10, 640, 'south'),
      host('e', 10, 640, 'south'),
    ],
    guests: [...guests('a', 24, MIXED, 8), ...guests('b', 24, MIXED, 9)].map((each) => ({
      ...each,
      mayChangeSite: true,
    })),
    trunks: [{ between: ['north', 'south'], bytesPerSecond: gbit(2) }],
    drained: ['a', 'b'],
  },
  {
    // Nothing to choose: one link out that any two moves fill.
    name: 'even',
    uneven: false,
    hosts: ['a', 'b', 'c', 'd'].map((name) => host(name, 1, 512)),
    guests: guests('a', 24, MIXED, 10),
    trunks: [],
    drained: ['a'],
  },
];
