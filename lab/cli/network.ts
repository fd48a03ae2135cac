import { labDown } from '../down.ts';
import { labStatus, type LabStatus } from '../status.ts';
import type { ServerStatus } from '../storage.ts';
import { labUp } from '../up.ts';
import { formatBytes, formatDuration, formatRate } from '../../src/protocol/quantity.ts';
import { printJson, type Context } from '../../src/cli/context.ts';
import { tableLook } from '../../src/cli/render/paint.ts';
import { renderTable } from '../../src/words/table.ts';
import type { Run } from '../../src/cli/verb.ts';
import type { labDownSpec, labStatusSpec, labUpSpec } from './specs.ts';

/** The lab that a command line means. */
export function labName(given: string | undefined, context: Context): string {
  return given ?? (context.env['GODWIT_LAB'] || 'lab');
}

/** Runs `work` with a signal that Ctrl-C aborts; what was begun is then undone. */
export async function interruptible<T>(
  context: Context,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const controller = new AbortController();
  const stopListening = context.onInterrupt(() => controller.abort(new Error('interrupted')));
  try {
    return await work(controller.signal);
  } finally {
    stopListening();
  }
}

/** What a command that follows needs, where the lab was named. */
export function inLab(named: string | undefined): string {
  return named === undefined ? '' : ` --lab ${named}`;
}

export const up: Run<typeof labUpSpec> = async (input, context) => {
  const name = labName(input.flags.name, context);
  await interruptible(context, (signal) =>
    labUp({
      name,
      hosts: input.flags.hosts ?? 2,
      linkBytesPerSecond: input.flags.link,
      delayMs: input.flags.delay,
      paths: input.flags.paths,
      storage: input.flags.storage,
      network: input.flags.network === 'bridge' ? undefined : input.flags.network,
      containers: input.flags.containers,
      manager: input.flags.with,
      signal,
    }),
  );
  const found = await labStatus(name);
  if (input.json) return printJson(context, found);
  printStatus(context, found);
  context.out.write(`\nNext: ${nextStep(found, input.flags.name)}\n`);
};

/** A vCenter has its guests already. */
function nextStep({ controller, hosts }: LabStatus, named: string | undefined): string {
  if (controller === undefined)
    return `godwit lab guest web1 --host ${hosts[0]?.name ?? 'a'}${inLab(named)}`;
  const { socket, manager } = controller;
  return `GODWIT_CONTROLLER=${socket} godwit guests --manager ${manager}`;
}

export const down: Run<typeof labDownSpec> = async (input, context) => {
  const name = labName(input.flags.name, context);
  const removed = await labDown(name);
  if (input.json) return printJson(context, { name, removed });
  context.out.write(removed ? `lab ${name} is down\n` : `no lab ${name} was up\n`);
};

export const status: Run<typeof labStatusSpec> = async (input, context) => {
  const found = await labStatus(labName(input.flags.name, context));
  if (input.json) printJson(context, found);
  else printStatus(context, found);
};

function storageFact(server: ServerStatus | undefined): string {
  if (server === undefined) return '';
  return `storage ${server.url}${server.serverUp ? '' : ' (its server is down)'}`;
}

function printStatus(context: Context, found: LabStatus): void {
  const look = tableLook(context);
  const link = found.linkBytesPerSecond;
  const facts = [
    `lab ${found.name} in ${found.dir}`,
    found.rootless ? 'in a user namespace' : '',
    link === undefined ? '' : `link ${formatRate(link)}`,
    found.network === undefined ? '' : `network ${found.network}`,
    found.manager === undefined || found.controller !== undefined
      ? ''
      : `guests of ${found.manager}`,
    found.controller === undefined
      ? ''
      : `a simulated ${found.manager} called ${found.controller.manager}`,
    storageFact(found.nfs ?? found.iscsi ?? found.rbd),
    found.delayMs === undefined ? '' : `round trip ${formatDuration(found.delayMs)}`,
  ].filter((fact) => fact !== '');
  context.out.write(`${facts.join(', ')}\n`);
  const hosts = found.hosts.map((host) => {
    const agent = host.agentUp ? look.paint.green('up') : look.paint.red('down');
    const addresses = [host.address, ...(host.furtherAddresses ?? [])].join(' ');
    return [host.name, addresses, agent, host.agentSocket];
  });
  context.out.write(renderTable(['HOST', 'ADDRESS', 'AGENT', 'SOCKET'], hosts, look));
  if (found.guests.length === 0) return;
  const guests = found.guests.map((guest) => [
    guest.name,
    guest.seen.map(({ host, status: state }) => `${host} (${state})`).join(', ') || 'gone',
    guest.address,
    formatBytes(guest.memoryBytes),
    guest.dirtyBytesPerSecond === 0 ? '-' : formatRate(guest.dirtyBytesPerSecond),
    `QEMU ${guest.qemuVersion} ${guest.accelerator}`,
    guest.probe === undefined ? '-' : guest.probe.connected ? 'connected' : 'cut off',
  ]);
  const head = ['GUEST', 'ON', 'ADDRESS', 'MEMORY', 'DIRTY', 'HYPERVISOR', 'CLIENT'];
  context.out.write(`\n${renderTable(head, guests, look)}`);
}
