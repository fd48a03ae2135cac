import { formatDuration } from '../../protocol/quantity.ts';
import { whyItNeverMoves } from '../requests/candidates.ts';
import { homesOf, type GuestFacts, type HostFacts, type World } from '../requests/facts.ts';
import type { Loads } from './loads.ts';

/** Data that a look does not use, for people: missing or impossible samples, and wrong clocks. Pure. */

const MAX_NAMED = 4;

interface SampleFacts {
  readonly world: World;
  readonly loads: Loads;
  readonly isOurs: (host: string) => boolean;
}

export function sampleWarnings(known: SampleFacts): string[] {
  const { world, loads, isOurs } = known;
  // Managers report no samples.
  const hosts = [...world.hosts.values()].filter(
    ({ name, realm }) => isOurs(name) && realm === undefined,
  );
  const heard = hosts.filter((each) => isAwake(each, world));
  const silent = silentWords(hosts, world);
  if (loads.newestMs === 0) return silent;
  const guests = Map.groupBy(running(world), ({ host }) => host);
  return [
    ...silent,
    ...unsampled(heard, loads),
    ...heard.flatMap((each) => clockWords(each, loads)),
    ...guestWords(
      heard
        .filter(({ name }) => loads.newest(name) !== undefined)
        .flatMap(({ name }) => guests.get(name) ?? []),
      loads,
    ),
  ];
}

const isAwake = ({ name, silentSinceMs }: HostFacts, { marks }: World): boolean =>
  silentSinceMs === undefined && marks.get(name)?.power === undefined;

function silentWords(hosts: readonly HostFacts[], { marks }: World): string[] {
  const silent = hosts.filter(
    ({ name, silentSinceMs }) =>
      silentSinceMs !== undefined && marks.get(name)?.power === undefined,
  );
  if (silent.length === 0) return [];
  return [`${firstNames(silent)}: not heard of; nothing moves from there or to it`];
}

function unsampled(hosts: readonly HostFacts[], loads: Loads): string[] {
  const without = hosts.filter(({ name }) => loads.newest(name) === undefined);
  if (without.length === 0) return [];
  return [
    `${firstNames(without)}: no sample of late of how busy it is; nothing moves from there or to it`,
  ];
}

function clockWords({ name }: HostFacts, loads: Loads): string[] {
  const ahead = loads.newest(name)?.look.clockAheadMs;
  if (ahead === undefined) return [];
  const words = `${formatDuration(Math.abs(ahead))} ${ahead > 0 ? 'ahead of' : 'behind'}`;
  return [`${name}: its clock is ${words} its controller’s; its samples count from when they come`];
}

interface Running {
  readonly facts: GuestFacts;
  readonly host: string;
}

function running(world: World): Running[] {
  return [...world.guests.values()].flatMap((facts): Running[] => {
    const [home] = homesOf(facts);
    if (home === undefined || home.state === 'stopped') return [];
    return whyItNeverMoves(facts, world) === undefined ? [{ facts, host: home.host }] : [];
  });
}

function guestWords(guests: readonly Running[], loads: Loads): string[] {
  const absurd = guests.flatMap(({ facts, host }) => {
    const cores = loads.nonsense(facts.name);
    return cores === undefined ? [] : [{ facts, host, cores }];
  });
  const missing = guests.filter(
    ({ facts: { name } }) => loads.guest(name).length === 0 && loads.nonsense(name) === undefined,
  );
  const more = absurd.length - MAX_NAMED;
  return [
    ...absurd.slice(0, MAX_NAMED).map(({ facts, host, cores }) => {
      const { name, vcpus } = facts;
      const has = vcpus > 0 ? `has ${vcpus}` : `runs on ${host}, which has fewer`;
      const stays = loads.guest(name).length === 0 ? 'it stays' : 'such samples count nowhere';
      return `${name}: is said to use ${short(cores)} cores and ${has}; ${stays}`;
    }),
    ...(more > 0 ? [`${more} more guests are said to use what they cannot have`] : []),
    ...(missing.length === 0
      ? []
      : [
          `${firstNames(missing.map(({ facts }) => facts))}: nobody reports what it uses; it stays`,
        ]),
  ];
}

const short = (cores: number): string => String(Math.round(cores * 10) / 10);

export function firstNames(all: readonly { readonly name: string }[]): string {
  const names = all.map(({ name }) => name).toSorted();
  const more = names.length - MAX_NAMED;
  return `${names.slice(0, MAX_NAMED).join(', ')}${more > 0 ? ` and ${more} more` : ''}`;
}
