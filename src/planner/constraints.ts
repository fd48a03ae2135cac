import type { Place, Seat } from './fleet.ts';
import type { Constraint } from './inventory.ts';

/** A guest does not return to a host within this time, s, to avoid oscillation. */
export const RETURN_S = 2 * 60 * 60;

export function holds({ guest, at, unknown, grouped }: Seat): Constraint | undefined {
  if (guest.moving === true) return 'moving';
  if (guest.neverMove === true) return 'never-move';
  if (at.host.silent === true) return 'silent';
  if (unknown || guest.reckoned === true) return 'unknown-load';
  return grouped ? 'together' : undefined;
}

/** Finds what prevents a guest on a host, except processor load. The slowest test is last. */
export function objection(seat: Seat, to: Place): Constraint | undefined {
  const { guest } = seat;
  const { host } = to;
  if (host.silent === true) return 'silent';
  if (host.draining === true) return 'draining';
  if (host.realm !== seat.from.host.realm) return 'realm';
  if (guest.mayChangeSite !== true && host.site !== seat.from.host.site) return 'site';
  const back = to === seat.from;
  if (!back && to.heldBytes + guest.memoryBytes > host.memoryBytes) return 'memory';
  if (guest.processor !== undefined && host.processors?.includes(guest.processor) === false) {
    return 'processor';
  }
  if (guest.networks?.some((network) => host.networks?.includes(network) === false) === true) {
    return 'network';
  }
  if (guest.pinnedTo?.includes(host.name) === false) return 'pinned';
  if (guest.apart?.some((group) => (to.apart.get(group) ?? 0) > 0) === true) return 'apart';
  const left = guest.left?.some((past) => past.host === host.name && past.secondsAgo < RETURN_S);
  return left === true ? 'came-from' : undefined;
}

/**
 * Tells whether the host's processors have room for the guest, at `z` standard deviations and `share` of their
 * capacity.
 */
export function hasCpu(seat: Seat, to: Place, { z, share, lasting }: CpuRoom): boolean {
  return canRun(seat, to) && to.needWith(seat, z, lasting) <= to.host.cpu * share;
}

export function canRun(seat: Seat, to: Place): boolean {
  const { guest, expected } = seat;
  const most = Math.min(guest.cpu, expected.mean + Math.sqrt(expected.variance));
  return most <= to.host.coreCpu * coresOf(seat, to);
}

export interface CpuRoom {
  readonly z: number;
  readonly share: number;
  /** Guests with low present demand count with their mean, because their spare room will not last. */
  readonly lasting?: boolean;
}

/** Host cores that the guest can use at once, at least one. */
const coresOf = ({ guest }: Seat, { host }: Place): number =>
  Math.max(1, Math.floor(guest.cpu / host.coreCpu));

const WORDS: Readonly<Record<Constraint, string>> = {
  memory: 'has too little memory, on both sides while a move lasts',
  cpu: 'has too little processor',
  network: 'lacks a network of the guest',
  processor: 'can not run the guest’s processor model',
  'never-move': 'its owner says that it never moves',
  pinned: 'the guest is pinned to other hosts',
  apart: 'has a guest that it must be apart from',
  together: 'it must stay with its group',
  site: 'stands at another site, and nobody named it for the guest',
  realm: 'is of another manager, and plans keep guests with their own',
  silent: 'nothing was heard of the host for too long',
  draining: 'is being drained',
  moving: 'it moves already',
  'came-from': 'the guest left it less than two hours ago',
  rests: 'it moved a short time ago and stays for now',
  'unknown-load': 'its samples are missing or make no sense',
  'unknown-host': 'its host is not in the inventory',
  'last-host': 'there is no other host that is on, heard of, and not drained itself',
  'no-target': 'none of the hosts that were named for it is on, heard of, and not drained itself',
  budget: 'the budget of this plan is used up',
};

export const wordsOf = (constraint: Constraint): string => WORDS[constraint];
