/**
 * The machines of the reference experiment: CloudSim's PlanetLab example, as its code and the SPECpower table
 * of the two servers have them.
 */

export interface HostType {
  readonly name: string;
  readonly cores: number;
  readonly coreMips: number;
  readonly memoryMb: number;
  /** At a load of 0, 10, ... 100 %. */
  readonly watts: readonly number[];
}

export interface GuestType {
  readonly mips: number;
  readonly memoryMb: number;
}

const G4: HostType = {
  name: 'HP ProLiant ML110 G4',
  cores: 2,
  coreMips: 1860,
  memoryMb: 4096,
  watts: [86, 89.4, 92.6, 96, 99.5, 102, 106, 108, 112, 114, 117],
};

const G5: HostType = {
  name: 'HP ProLiant ML110 G5',
  cores: 2,
  coreMips: 2660,
  memoryMb: 4096,
  watts: [93.7, 97, 101, 105, 110, 116, 121, 125, 129, 133, 135],
};

export const HOST_TYPES: readonly HostType[] = [G4, G5];
export const HOST_COUNT = 800;

const GUEST_TYPES: readonly GuestType[] = [
  { mips: 2500, memoryMb: 870 },
  { mips: 2000, memoryMb: 1740 },
  { mips: 1000, memoryMb: 1740 },
  { mips: 500, memoryMb: 613 },
];

/** What a link carries for moves, MB/s: half of 1 Gbit/s; the other half is the guests'. */
const MOVE_MB_PER_SECOND = 1_000_000 / (2 * 8000);

export const moveSeconds = (memoryMb: number): number => memoryMb / MOVE_MB_PER_SECOND;

/** The first quarter of the guests has the first type, and so on. Throws for an index that is none. */
export function guestTypeOf(index: number, count: number): GuestType {
  const type = GUEST_TYPES[Math.floor(index / Math.ceil(count / GUEST_TYPES.length))];
  if (type === undefined) throw new RangeError(`guest ${index} of ${count}`);
  return type;
}

/** Power at `share` (0 to 1) of the host's processors, W: linear between the points of the table. */
export function wattsAt(type: HostType, share: number): number {
  const place = Math.min(Math.max(share, 0), 1) * 10;
  const below = Math.floor(place);
  const low = type.watts[below] ?? 0;
  const high = type.watts[Math.ceil(place)] ?? low;
  return low + ((high - low) / 10) * (Math.min(Math.max(share, 0), 1) - below / 10) * 100;
}

export const capacityOf = (type: HostType): number => type.cores * type.coreMips;
