import { median, type Measure } from './contract.ts';

/** What `--path auto` came to beside every other way. Pure. */

export const SCENES = ['cold', 'second', 'return'] as const;
export type Scene = (typeof SCENES)[number];

/** One move, or the medians of several. */
export interface MoveResult {
  readonly scene: Scene;
  readonly way: string;
  readonly totalMs: number;
  readonly bytes: number;
}

const AUTO = 'auto';
/** Of the soonest way: as long may `auto` take, and as near are ways between which the bytes decide. */
export const NEAR = 1.1;
/** Of the least bytes among those: one way does not send the same twice. */
const ALIKE = 1.05;

/** One for each way of a scene. */
function mediansOf(tried: readonly MoveResult[], scene: Scene): MoveResult[] {
  const ways = new Map<string, MoveResult[]>();
  for (const each of tried)
    if (each.scene === scene) ways.set(each.way, [...(ways.get(each.way) ?? []), each]);
  return [...ways].map(([way, moves]) => ({
    scene,
    way,
    totalMs: median(moves.map(({ totalMs }) => totalMs)),
    bytes: median(moves.map(({ bytes }) => bytes)),
  }));
}

/** Of the soonest way, and of the way that sends the least among those that are as soon but for a tenth. */
export function verdictOf(
  auto: Pick<MoveResult, 'totalMs' | 'bytes'>,
  others: readonly Pick<MoveResult, 'totalMs' | 'bytes'>[],
): { readonly ofSoonest: number; readonly ofLeast: number } {
  const all = [auto, ...others];
  const soonest = Math.min(...all.map(({ totalMs }) => totalMs));
  const near = all.filter(({ totalMs }) => totalMs <= soonest * NEAR);
  const least = Math.min(...near.map(({ bytes }) => bytes));
  return { ofSoonest: auto.totalMs / soonest, ofLeast: auto.bytes / least };
}

export function measuresOf(link: string, tried: readonly MoveResult[]): Measure[] {
  return SCENES.flatMap((scene) => {
    const ways = mediansOf(tried, scene);
    const runs = tried.filter((each) => each.scene === scene && each.way === AUTO).length;
    const each = ways.flatMap(({ way, totalMs, bytes }): Measure[] => {
      const name = `${link}: ${scene}: ${way}`;
      return [
        { name: `${name}: total`, value: totalMs / 1000, unit: 's', runs },
        { name: `${name}: bytes`, value: bytes / 1e6, unit: 'MB', runs },
      ];
    });
    const auto = ways.find(({ way }) => way === AUTO);
    if (auto === undefined) return each;
    const found = verdictOf(
      auto,
      ways.filter((way) => way !== auto),
    );
    const of = (what: string, value: number, atMost: number): Measure => {
      return { name: `${link}: ${scene}: ${what}`, value, unit: 'x', runs, target: { atMost } };
    };
    return [
      ...each,
      of('total of auto, of the soonest', found.ofSoonest, NEAR),
      of('bytes of auto, of the least that is as soon', found.ofLeast, ALIKE),
    ];
  });
}
