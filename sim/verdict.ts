import type { FakeWorld } from './fake/world.ts';
import type { DestinationState } from '../src/migration/direct/destination/destination.ts';
import type { SourceState } from '../src/migration/direct/source/source-state.ts';
import type { Struck } from './faults.ts';
import { STILL_MS, type Observer } from './observer.ts';
import type { HostName } from './scenario.ts';

export interface Evidence {
  readonly outcome: string;
  readonly ended: boolean;
  readonly state: SourceState | undefined;
  readonly destination: DestinationState | undefined;
  readonly observer: Observer;
  readonly struck: Struck;
  readonly instances: FakeWorld['instances'];
  /** An operator was asked: the guest waited for that. */
  readonly wasResolved: boolean;
  /** Hosts that have recovered the guest; undefined with two hosts. */
  readonly recoveredAt: readonly HostName[] | undefined;
}

/** The rule that the end of a run breaks, once the faults are over and all has had its time. */
export function judge(evidence: Evidence): string | undefined {
  return (
    defect(evidence) ??
    wrongOutcome(evidence) ??
    noCopy(evidence) ??
    leftBehind(evidence) ??
    stoodStill(evidence)
  );
}

function diedAt({ died }: Struck, host: HostName): boolean {
  return died.some((each) => each.host === host);
}

/** What no fault explains: a disk, an agent or a monitor that was made to fail is reported in the same words. */
function defect({ state, struck }: Evidence): string | undefined {
  if (state?.because?.code !== 'GODWIT_INTERNAL') return undefined;
  const explained = struck.kinds.some((kind) =>
    /disk|call|agent|power|kill mover|damaged/.test(kind),
  );
  return explained ? undefined : `it ended by a defect: ${state.because.message}`;
}

/** The guest's own death: a fault ended the only copy that was whole. */
function guestDied({ struck, observer, recoveredAt }: Evidence): boolean {
  return struck.died.some(({ host, stage, ran }) => {
    // Among three hosts, any host may have had the last copy.
    if (recoveredAt !== undefined) return ran || stage !== 'before' || host === 'a';
    if (stage === 'postcopy') return true;
    return stage === 'before' ? host === 'a' : host === 'b' || !observer.ranAtDestination;
  });
}

function wrongOutcome(evidence: Evidence): string | undefined {
  const { outcome, ended, observer, struck } = evidence;
  const at = observer.running();
  const [only] = at;
  // Whatever became of the migration, its guest was recovered, and runs.
  if (only !== undefined && evidence.recoveredAt?.includes(only) === true) {
    return ended || outcome === 'held' ? undefined : `${outcome}, and something still works on it`;
  }
  switch (outcome) {
    case 'unended':
      return 'the migration does not end';
    case 'none':
      return at.includes('a') || diedAt(struck, 'a')
        ? undefined
        : 'nothing began, and the guest does not run';
    case 'done':
      if (!at.includes('b') && !diedAt(struck, 'b')) return 'done, and it does not run there';
      return ended ? undefined : 'done, and something still works on it';
    case 'failed':
    case 'cancelled':
      if (at.includes('b')) return `${outcome}, and the guest runs at the destination`;
      if (!at.includes('a') && !diedAt(struck, 'a')) {
        return `${outcome}, and the guest does not run at the source`;
      }
      return ended ? undefined : `${outcome}, and something still works on it`;
    case 'lost':
      return struck.died.length > 0 ? undefined : 'lost, and no hypervisor was killed';
    case 'held':
      return mayHold(evidence) ? undefined : 'held, and both sides could have known';
    default:
      return `it ended as ${outcome}`;
  }
}

/** Nobody could reach the destination, or work, for so long; the protocol waits 60 s for a refusal, ms. */
const DARK_MS = 55_000;
/** As often as this a call that the way forward needs is tried. */
const TRIES = 3;
const NEEDED = [
  'destination.resumeGuest',
  'source.status',
  'source.cancel',
  'source.resumeGuest',
  'driver.openSource',
  'driver.openDestination',
  'source.startPostcopy',
  'source.continueSwitchover',
];
/** Deadline of the switch, ms. */
const SWITCH_MS = 20_000;

/** Each of them may leave open where the guest is. */
const UNCERTAIN = /^(recover|take up|isolated|request damaged)$/;

/** Whether a person may be asked: only where one side could not learn what it needed, for as long as it is waited for. */
function mayHold({ struck, state }: Evidence): boolean {
  if (struck.died.length > 0 || struck.powerLost.length > 0) return true;
  if (struck.kinds.some((kind) => UNCERTAIN.test(kind))) return true;
  if (struck.outOfReachMs + struck.hungMs >= DARK_MS) return true;
  if (NEEDED.some((call) => struck.calls.filter((each) => each.call === call).length >= TRIES)) {
    return true;
  }
  // Post-copy's switch has 20 s: a hypervisor that does nothing for that long leaves it open which side has the guest.
  const isPostcopy = state !== undefined && state.plan.settings.mode !== 'precopy';
  const hung = struck.calls.some(({ call, how }) => how === 'hang' && call.startsWith('source.'));
  return isPostcopy && hung && struck.hungMs >= SWITCH_MS;
}

function noCopy(evidence: Evidence): string | undefined {
  const { outcome, observer } = evidence;
  if (observer.running().length === 1 || outcome === 'held') return undefined;
  return guestDied(evidence) ? undefined : `${outcome}, and no copy of the guest runs`;
}

function leftBehind({
  outcome,
  state,
  destination,
  observer,
  recoveredAt,
}: Evidence): string | undefined {
  const own = (host: HostName) =>
    recoveredAt?.includes(host) === true ? [] : observer.aliveAt(host);
  const [source] = own('a');
  const [other] = own('b');
  if (outcome === 'done') {
    if (source !== undefined && state?.leftovers.length === 0) return 'the source is left behind';
    if (destination?.stage !== 'finished') return undefined;
    const set = other !== undefined && Object.keys(other.settings).length > 0;
    return set ? 'what was set at the destination is left' : undefined;
  }
  if (outcome !== 'failed' && outcome !== 'cancelled') return undefined;
  if (other !== undefined) return 'a hypervisor is left behind at the destination';
  const set = source !== undefined && Object.keys(source.settings).length > 0;
  if (set && state?.leftovers.length === 0) return 'what was set at the source is left';
  return undefined;
}

/** A migration that came to nothing may have cost its guest only so much. */
function stoodStill({ outcome, observer, struck, wasResolved }: Evidence): string | undefined {
  if (wasResolved) return undefined;
  if (outcome !== 'failed' && outcome !== 'cancelled' && outcome !== 'done') return undefined;
  const mostMs = STILL_MS + struck.outOfReachMs + struck.hungMs;
  const { longestStillMs } = observer;
  if (longestStillMs <= mostMs) return undefined;
  return `the guest was paused for ${Math.round(longestStillMs)} ms; at most ${mostMs} ms are allowed`;
}
