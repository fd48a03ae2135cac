/** What the made-up fleet of the dashboard's measure and pictures is called, and when it is. Pure. */
export const GIB = 1024 ** 3;
export const MIB = 1024 ** 2;
export const NOW_MS = Date.parse('2026-11-23T09:30:00Z');
export const at = (minutesAgo: number): string =>
  new Date(NOW_MS - minutesAgo * 60_000).toISOString();
/** The same of the same place, always: 0..1. */
export const dice = (seed: number): number => {
  const x = Math.sin(seed * 12.9898) * 43_758.5453;
  return x - Math.floor(x);
};

export const OPEN_ID = 'm-open00000001';
export const DONE_ID = 'm-done00000001';
export const REQUEST_ID = 'r-drain0000001';
export const ROLL_ID = 'r-roll00000001';
export const GUEST = 'web-0001';

export const hostAt = (index: number): string => `node-${String(index + 1).padStart(5, '0')}`;
export const guestAt = (index: number): string =>
  `${['web', 'db', 'cache', 'build'][index % 4] ?? 'web'}-${String(index + 1).padStart(4, '0')}`;
