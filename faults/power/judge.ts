/** What must hold once the host that had lost its power is back. Pure. */
import { cellId, type Cell } from '../cell.ts';
import type { Expectation } from '../expectation.ts';
import { oneCopy, theEnd, type CellObservation } from '../judge.ts';
import type { Attempt } from './recover.ts';

export interface PowerObserved extends CellObservation {
  readonly attempts: readonly Attempt[];
  /** Migrations and recoveries of the guest that no host has ended. */
  readonly open: readonly string[];
  /** Hosts on which a copy has run at any time. */
  readonly ranOn: ReadonlySet<string>;
}

export function judgePower(cell: Cell, expect: Expectation, seen: PowerObserved): string[] {
  const always = [...oneCopy(seen), ...seen.remains, ...(seen.disks ?? []), ...theRecoveries(seen)];
  if (seen.struck === undefined) return always;
  return [...always, ...theEnd(expect, seen), ...theGuest(cell, expect, seen)];
}

/** A recovery is done if and only if the guest has run there. */
function theRecoveries({ attempts, ranOn, from, to, open }: PowerObserved): string[] {
  const problems = open.map((what) => `it has not ended: ${what}`);
  for (const { host, id, outcome } of attempts) {
    const what = `the recovery ${id} at ${host}`;
    if (outcome === 'running') problems.push(`${what} did not end`);
    if (outcome === 'done' && !ranOn.has(host))
      problems.push(`${what} is done, and it ran nowhere`);
  }
  const done = new Set(
    attempts.filter(({ outcome }) => outcome === 'done').map(({ host }) => host),
  );
  const others = [...ranOn].filter((host) => host !== from && host !== to && !done.has(host));
  return [
    ...problems,
    ...others.map((host) => `it has run at ${host}, and no recovery reports it`),
  ];
}

function theGuest(cell: Cell, expect: Expectation, seen: PowerObserved): string[] {
  const { outcome, runningOn, to, from, attempts, ranOn } = seen;
  const isDead = runningOn.length === 0;
  if (isDead && expect.guest === 'lives') {
    return ['no copy runs at the end: no host has recovered the guest'];
  }
  if (!isDead && expect.guest === 'dies') return [`the guest runs on ${runningOn.join()}`];
  const problems: string[] = [];
  if (outcome === 'done' && !ranOn.has(to))
    problems.push(`reported as done, and never ran at ${to}`);
  const recovered = attempts.find((attempt) => attempt.outcome === 'done');
  const isWhere = recovered?.host ?? (outcome === 'done' ? to : from);
  if (!isDead && recovered !== undefined && !runningOn.includes(isWhere)) {
    problems.push(`recovered at ${isWhere}, and it runs on ${runningOn.join()}`);
  }
  if (!isDead && recovered === undefined && outcome === 'lost') {
    problems.push(`reported as lost, and it runs on ${runningOn.join()}`);
  }
  if (!isDead && recovered === undefined && outcome !== 'lost' && !runningOn.includes(isWhere)) {
    problems.push(`reported as ${outcome}, and it runs on ${runningOn.join()}`);
  }
  if (cell.fault === 'power-destination' && recovered !== undefined) {
    problems.push(`${cellId(cell)}: recovered at ${recovered.host} while its host answered`);
  }
  if (!isDead && seen.memory !== 'intact') {
    problems.push(
      seen.memory === 'changed'
        ? "the guest's memory or disks are not what they were"
        : 'the guest did not read its memory and disks in time',
    );
  }
  return problems;
}
