/**
 * What a script of Godwit's would answer on a pretended host: the one part of the fake that knows Godwit. It takes the place of
 * PowerShell, so it proves nothing about the scripts' own text; what a script is given it reads as the script would.
 */
import type { FakeGuest, HypervWorld } from './world.ts';

interface ScriptParameters {
  id?: string;
  mark?: string;
  destination?: string;
  node?: string;
  storage?: string | null;
  alone?: boolean;
  what?: string;
}

/** The name of a script, and what it was given; undefined for a script that is none of Godwit's. */
export function readScript(text: string): { name: string; given: ScriptParameters } | undefined {
  const name = /^# godwit (\w+)\n/.exec(text)?.[1];
  const data = /FromBase64String\('([A-Za-z0-9+/=]*)'\)/.exec(text)?.[1];
  if (name === undefined || data === undefined) return undefined;
  return {
    name,
    given: JSON.parse(Buffer.from(data, 'base64').toString('utf8')) as ScriptParameters,
  };
}

const SIZE = { cores: 16, memory: 64 * 2 ** 30, available: 48 * 2 ** 30, version: '10.0.20348.0' };
/** COR_E_EXCEPTION: the module's own exceptions have no number of theirs. */
const EXCEPTION = -2146233088;

export function answerScript(
  world: HypervWorld,
  host: string,
  name: string,
  given: ScriptParameters,
): object {
  if (world.hosts.get(host)?.denies === true && name !== 'account') {
    const message = `You do not have the required permission to complete this task. Contact the administrator of the authorization policy for the computer '${host.toUpperCase()}'.`;
    return {
      error: { stage: 'before', message, hresult: EXCEPTION, category: 'PermissionDenied' },
    };
  }
  const machine = world.on(host).find(({ id }) => id === given.id?.toLowerCase());
  switch (name) {
    case 'list':
      return {
        host: { ...SIZE, cluster: clusterOf(world, host) },
        guests: world.on(host).map(factsOf),
      };
    case 'node':
      return nodeAfter(world, host, given.what ?? '');
    case 'guest':
      return machine === undefined ? { guest: null } : wholeOf(machine);
    case 'host':
      return { ...world.hosts.get(host), performance: 'Compression' };
    case 'account':
      return {
        now: new Date(Date.now() + world.skewMs).toISOString(),
        user: String.raw`DOMAIN\User`,
        groups: world.groups,
      };
    case 'compare':
      if (world.compareFails === undefined) return { incompatibilities: world.incompatibilities };
      return { error: { stage: 'before', category: 'PermissionDenied', ...world.compareFails } };
    case 'start':
      return begin(world, machine, given);
    case 'unmark':
      if (machine !== undefined)
        machine.notes = machine.notes.replaceAll(/\n?\[godwit [^\]]*\]/g, '');
      return { done: true };
    case 'events':
      return { events: world.events };
    default:
      throw new Error(`no script is called ${name}`);
  }
}

const codeOf = (drain: string): number => (drain === 'Failed' ? 5 : 0);

function clusterOf(world: HypervWorld, host: string): object | null {
  const found = world.hosts.get(host);
  if (found === undefined || found.nodes.length === 0) return null;
  return { name: 'hvc', ...found.node, code: codeOf(found.node.drain) };
}

function nodeAfter(world: HypervWorld, host: string, what: string): object {
  world.turn();
  const found = world.hosts.get(host);
  if (found === undefined || found.nodes.length === 0) {
    const message = 'The cluster service is not running.';
    return {
      error: { stage: 'before', message, hresult: -2147024894, category: 'ConnectionError' },
    };
  }
  const isDrained = ['InProgress', 'Completed'].includes(found.node.drain);
  if (what === 'pause' && !isDrained) world.suspend(host);
  if (what === 'resume' && found.node.state === 'Paused') world.resume(host);
  return { ...found.node, code: codeOf(found.node.drain) };
}

function begin(
  world: HypervWorld,
  machine: FakeGuest | undefined,
  given: ScriptParameters,
): object {
  const { mark = '', destination = '', node = '', storage = null, alone = false } = given;
  if (machine === undefined) return { absent: true };
  if (machine.notes.includes(mark)) return { returned: 0, already: true };
  const isMoving = world.jobs.some(
    (job) => job.machine === machine.id.toUpperCase() && job.state === 4,
  );
  if (alone && machine.clustered) return { refused: 'it is a role of a cluster' };
  if (isMoving) return { refused: 'another migration of it is under way' };
  machine.notes += `\n${mark}${new Date().toISOString()}]`;
  const to = alone ? machine.host : machine.clustered ? node : destination;
  if (!world.hosts.has(to)) {
    return {
      error: { stage: 'call', message: `no host ${to}`, hresult: -2147023174, category: '' },
    };
  }
  if (world.returns === 4096) world.migrate(machine, to, storage);
  return { returned: world.returns };
}

function factsOf(guest: FakeGuest): object {
  const { id, name, state, clustered, switches } = guest;
  const nics = switches.map((each, index) => ({
    id: `nic${index}`,
    mac: '00155D010203',
    switch: each,
  }));
  const rest = { memory: 1024 ** 3, vcpus: 2, generation: 2, version: '10.0' };
  return { id, name, state, clustered, nics, ...rest };
}

function wholeOf(guest: FakeGuest): object {
  const { compatibility, disks, images, devices, folder } = guest;
  return {
    guest: factsOf(guest),
    compatibility,
    disks,
    images,
    devices,
    folder,
  };
}
