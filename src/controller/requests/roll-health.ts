import type { Roll, RollPromise } from '../../protocol/controller/fleet-request.ts';
import type { World } from './facts.ts';

export type StageAnswer =
  | {
      readonly of: 'host';
      readonly ok: true;
      readonly version: string;
      readonly bootId?: string;
      readonly sampled: boolean;
    }
  | { readonly of: 'host'; readonly ok: false; readonly words: string }
  | { readonly of: 'program'; readonly ok: true; readonly promised: RollPromise }
  | { readonly of: 'program'; readonly ok: false; readonly words: string };

/** Facts that the program did not announce must be unchanged, the boot included. */
export function whyNotBack(
  world: World,
  roll: Roll,
  host: string,
  heard: StageAnswer | 'pending' | undefined,
): string | undefined {
  const facts = world.hosts.get(host);
  if (facts === undefined || facts.silentSinceMs !== undefined) return 'it is silent';
  if (heard === undefined || heard === 'pending' || heard.of !== 'host')
    return 'it is asked how it is';
  if (!heard.ok) return `it does not say what it is: ${heard.words}`;
  const { before, promised } = roll;
  const version = promised?.version ?? before?.version;
  if (version !== undefined && heard.version !== version)
    return `its version is ${heard.version} and ought to be ${version}`;
  const isSame = before?.bootId === heard.bootId;
  if (promised?.boot === 'new' && (isSame || heard.bootId === undefined))
    return 'it has not been started anew';
  if (promised?.boot !== 'new' && !isSame && before?.bootId !== undefined)
    return 'it was started anew, which its program has not promised';
  return heard.sampled ? undefined : 'no sample of how busy it is has come';
}
