import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { VsphereDriver } from '../src/drivers/vsphere/driver.ts';
import type { DiscoveredGuest } from '../src/port/inventory.ts';
import type { HostEvent } from '../src/protocol/public/hosts/host-event.ts';
import { everyPage } from '../src/protocol/public/page.ts';
import { client } from '../src/rpc/client.ts';
import { agentContract } from '../src/protocol/contract.ts';
import { holderOfSocket } from '../src/rpc/port-holder.ts';
import { hostNameIn, moveBy } from '../test/managers/one-move.ts';
import { Vcsim } from '../test/drivers/vsphere/support/vcsim.ts';
import { AgentHost } from '../test/e2e/support/agent-host.ts';
import { onlyOf, type Bench, type BenchOptions, type Measure } from './contract.ts';
import { peakBytes } from './memory-use.ts';

/** 27 clusters of 37 hosts and one host by itself, with 715 guests each: 1,000 hosts and 20,020 guests. */
const SIZE = { clusters: 27, hosts: 37, guests: 715 };
const HOSTS = SIZE.clusters * SIZE.hosts + 1;
const GUESTS = (SIZE.clusters + 1) * SIZE.guests;
const READ_MS = 180_000;
const PAGE_MS = 60_000;
const CHANGES = 20;
const CHANGE_MS = 60_000;
const AT_ONCE = 200;
/** Long enough that all of them are under way together. */
const MOVE_MS = 20_000;
const MAX_GUESTS = 100_000;
const PARTS = ['read', 'moves'];

/** One agent and a simulated vCenter: `test/managers/vcsim`. The simulator shares the processors of this machine. */
export const managers: Bench = {
  name: 'managers',
  summary:
    'a simulated vCenter of 1,000 hosts and 20,000 guests: read, memory, changes, 200 moves at once',
  run: async (options) => {
    const parts = onlyOf(options, PARTS) ?? PARTS;
    options.say(`a vCenter of ${HOSTS} hosts and ${GUESTS} guests is made`);
    const vcenter = await Vcsim.open(SIZE);
    try {
      const read = parts.includes('read') ? await measureAgent(vcenter, options) : [];
      const moves = parts.includes('moves') ? await measureMoves(vcenter, options) : [];
      return [...read, ...moves];
    } finally {
      await vcenter.close();
    }
  },
};

async function measureAgent(
  vcenter: Vcsim,
  { runs = CHANGES, signal, say }: BenchOptions,
): Promise<Measure[]> {
  const agent = await AgentHost.start('m', { qemu: { programs: [] }, vsphere: vcenter.section });
  const speaking = client(agentContract, { unix: agent.socket });
  try {
    const begun = performance.now();
    const { hosts, guests } = await wholeList(speaking.api, begun, signal);
    const readMs = performance.now() - begun;
    say(`${hosts} hosts and ${guests} guests after ${Math.round(readMs)} ms`);
    const seenMs = await changesSeen(vcenter, speaking.api, { runs, signal });
    const { pid = 0 } = holderOfSocket(agent.socket) ?? {};
    const peak = peakBytes(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? Number.NaN;
    return [
      { name: 'hosts read', value: hosts, unit: '', runs: 1, target: { atLeast: HOSTS } },
      { name: 'guests read', value: guests, unit: '', runs: 1, target: { atLeast: GUESTS } },
      { name: 'first full read', value: readMs, unit: 'ms', runs: 1, target: { atMost: 20_000 } },
      {
        name: 'agent, most resident',
        value: peak / 1024 ** 2,
        unit: 'MiB',
        runs: 1,
        target: { atMost: 400 },
      },
      {
        name: 'a change seen, worst',
        value: Math.max(...seenMs),
        unit: 'ms',
        runs: seenMs.length,
        target: { atMost: 2000 },
      },
    ];
  } finally {
    speaking.close();
    await agent.close();
  }
}

type AgentApi = ReturnType<typeof client<typeof agentContract>>['api'];

/** A list that waits no longer for the manager is asked for again: the reading goes on. */
async function wholeList(
  api: AgentApi,
  begun: number,
  signal: AbortSignal,
): Promise<{ hosts: number; guests: number }> {
  const options = { deadlineMs: PAGE_MS, signal };
  for (;;) {
    signal.throwIfAborted();
    const guests = await everyPage(async (cursor) => {
      const { guests: items, next } = await api.guests({ query: { cursor } }, options);
      return next === undefined ? { items } : { items, next };
    }, MAX_GUESTS).catch(() => []);
    if (guests.length >= GUESTS) {
      const hosts = await everyPage(async (cursor) => {
        const { hosts: items, next } = await api.managedHosts({ query: { cursor } }, options);
        return next === undefined ? { items } : { items, next };
      }, MAX_GUESTS);
      return { hosts: hosts.length, guests: guests.length };
    }
    if (performance.now() - begun > READ_MS)
      throw new Error(`only ${guests.length} of ${GUESTS} guests were read`);
  }
}

/** ms between the vCenter's word that somebody has moved a guest and the agent's event, of so many moves. */
async function changesSeen(
  vcenter: Vcsim,
  api: AgentApi,
  { runs, signal }: { readonly runs: number; readonly signal: AbortSignal },
): Promise<number[]> {
  const over = new AbortController();
  const hears = AbortSignal.any([signal, over.signal]);
  const stream = api.hostEvents({ query: {} }, { signal: hears, deadlineMs: PAGE_MS });
  const events: AsyncIterator<HostEvent> = stream[Symbol.asyncIterator]();
  await events.next();
  const all: number[] = [];
  try {
    for (let run = 0; run < runs; run += 1) {
      const name = `DC0_C${run % SIZE.clusters}_RP0_VM${run}`;
      const at = (await vcenter.guests())[name]?.host ?? '';
      const to = `DC0_C${run % SIZE.clusters}_H${at.endsWith('_H0') ? 1 : 0}`;
      await vcenter.ask({ do: 'move', name, value: to });
      const begun = performance.now();
      const wanted = hostNameIn(to);
      for (;;) {
        const next = await events.next();
        if (next.done === true) throw new Error('the stream of events ended');
        const { value } = next;
        if (value.type === 'guest' && value.guest.name === name && value.guest.host === wanted)
          break;
        if (performance.now() - begun > CHANGE_MS) throw new Error(`${name} was not seen at ${to}`);
      }
      all.push(performance.now() - begun);
    }
  } finally {
    over.abort();
  }
  return all;
}

/** The movers of one agent, all in this process, each with a session of its own. */
async function measureMoves(vcenter: Vcsim, { signal, say }: BenchOptions): Promise<Measure[]> {
  const directory = path.join(vcenter.dir, 'moves');
  mkdirSync(directory);
  const lists = new VsphereDriver(vcenter.options);
  try {
    const names = Array.from({ length: AT_ONCE }, (_none, index) => nameOf(index));
    for (const name of names) await vcenter.ask({ do: 'move', name, value: hostsOf(name).before });
    await vcenter.tasks(MOVE_MS);
    const options = { host: 'm', busy: new Set<string>(), configured: [] };
    const found = await lists.discover(options, AbortSignal.timeout(READ_MS));
    const guests = found.filter(({ info }) => names.includes(info.name));
    say(`${guests.length} guests are moved at once`);
    const begun = performance.now();
    const outcomes = await Promise.all(
      guests.map((guest, index) => moved(vcenter, { guest, index, directory })),
    );
    signal.throwIfAborted();
    const tookMs = performance.now() - begun;
    const placed = await vcenter.guests();
    const at = (name: string): boolean => placed[name]?.host === hostsOf(name).after;
    const reported = outcomes.filter(({ outcome }) => outcome === 'done').length;
    const untrue = outcomes.filter(({ name, outcome }) => (outcome === 'done') !== at(name));
    const twice = names.filter((name) => (placed[name]?.tasks ?? 0) > 1);
    const unit = 'migrations';
    return [
      { name: 'done', value: reported, unit, runs: 1, target: { atLeast: AT_ONCE } },
      { name: 'lost', value: untrue.length, unit, runs: 1, target: { atMost: 0 } },
      { name: 'doubled', value: twice.length, unit, runs: 1, target: { atMost: 0 } },
      { name: `all, of ${MOVE_MS / 1000} s each`, value: tookMs, unit: 'ms', runs: 1 },
    ];
  } finally {
    await lists.close();
  }
}

const nameOf = (index: number): string =>
  `DC0_C${index % SIZE.clusters}_RP0_VM${100 + Math.floor(index / SIZE.clusters)}`;

function hostsOf(name: string): { before: string; after: string } {
  const cluster = name.slice(0, name.indexOf('_RP0'));
  return { before: `${cluster}_H0`, after: `${cluster}_H1` };
}

async function moved(
  vcenter: Vcsim,
  { guest, index, directory }: { guest: DiscoveredGuest; index: number; directory: string },
): Promise<{ name: string; outcome: string }> {
  const { info, handle } = guest;
  if (handle === undefined) return { name: info.name, outcome: 'not movable' };
  const { before, after } = hostsOf(info.name);
  const id = `m-bench${String(index).padStart(3, '0')}`;
  const move = { id, guest: info.name, handle, from: hostNameIn(before), to: hostNameIn(after) };
  return {
    name: info.name,
    outcome: await moveBy(new VsphereDriver(vcenter.options), move, directory),
  };
}
