import { createHash } from 'node:crypto';
import { z } from 'zod';
import { withDeadline } from '../deadline.ts';
import { godwitError } from '../errors.ts';
import { ip, type IpAnswer } from './ip.ts';

/** A port of a bridge that a guest's NIC is connected to. */
export interface TapPlan {
  readonly name: string;
  readonly bridge: string;
  /** Default: the bridge's. */
  readonly mtu?: number;
  /** For a NIC with several queues. */
  readonly multiQueue?: boolean | undefined;
  /** The user who may attach a program to it; default: only who may do so to any. */
  readonly owner?: number | undefined;
}

const STEP_MS = 5000;

/** The same name for the same migration and NIC, on any host; 15 characters at most, as the kernel wants. */
export function tapName(migrationId: string, index: number): string {
  const hash = createHash('sha256').update(migrationId).digest('hex').slice(0, 8);
  return `gw${hash}n${index}`.slice(0, 15);
}

/**
 * A port's own MAC, which no frame carries. High: a bridge that was given none takes the lowest of its ports', and the
 * host would go by another whenever a guest comes or leaves.
 */
export function portMac(port: string): string {
  const hash = createHash('sha256').update(port).digest('hex').slice(0, 10);
  return ['fe', ...(hash.match(/../g) ?? [])].join(':');
}

/**
 * Makes the tap, up and in its bridge; one that is there already is put right. Returns its name.
 * GODWIT_HOST_LACKS names a bridge that is not there, GODWIT_PRIVILEGE a missing right.
 */
export async function createTap(plan: TapPlan, signal: AbortSignal): Promise<string> {
  return withDeadline(`making ${plan.name}`, STEP_MS, signal, async (inner) => {
    checkName(plan.name);
    checkName(plan.bridge);
    await removeForeign(plan, inner);
    const made = await ip(tapWords(plan.name, plan), inner);
    if (made.status !== 0 && !(await linkOf(plan.name, inner))) throw refusal('a tap', made);
    const mtu = plan.mtu ?? (await linkOf(plan.bridge, inner))?.mtu;
    if (mtu === undefined) {
      await removeTap(plan.name, signal);
      throw godwitError('GODWIT_HOST_LACKS', { what: `bridge ${plan.bridge}` });
    }
    const words = [
      'link',
      'set',
      'dev',
      plan.name,
      'master',
      plan.bridge,
      'address',
      portMac(plan.name),
      'mtu',
      String(mtu),
      'up',
    ];
    const set = await ip(words, inner);
    if (set.status === 0) return plan.name;
    await removeTap(plan.name, signal);
    throw refusal(`port ${plan.name} in bridge ${plan.bridge}`, set);
  });
}

/** A tap that an attempt before this one made for another user: nothing changes whose it is, and the new user may not open it. */
async function removeForeign({ name, owner }: TapPlan, signal: AbortSignal): Promise<void> {
  if (owner === undefined) return;
  const user = (await linkOf(name, signal))?.linkinfo?.info_data?.user;
  if (user === undefined || user === owner) return;
  await ip(['link', 'del', 'dev', name], signal);
}

/**
 * GODWIT_ID_REUSED where a link has the name that a port of this migration will have: a peer chooses ids, and two of them
 * may lead to one name.
 */
export async function mustBeFree(id: string, port: string, signal: AbortSignal): Promise<void> {
  checkName(port);
  const there = await withDeadline(`looking up ${port}`, STEP_MS, signal, (inner) =>
    linkOf(port, inner),
  );
  if (there === undefined) return;
  const hint = `Let the caller make a new id: this one leads to the port ${port}, which is another’s.`;
  throw godwitError('GODWIT_ID_REUSED', { id }, { hint });
}

/** The words of `ip` that make a tap. */
export function tapWords(
  name: string,
  { multiQueue, owner }: Pick<TapPlan, 'multiQueue' | 'owner'>,
): string[] {
  const queues = multiQueue === true ? ['multi_queue'] : [];
  const user = owner === undefined ? [] : ['user', `${owner}`];
  return ['tuntap', 'add', 'dev', name, 'mode', 'tap', ...queues, ...user];
}

/** Removes the tap; nothing when it is gone already. */
export async function removeTap(name: string, signal: AbortSignal): Promise<void> {
  await withDeadline(`removing ${name}`, STEP_MS, signal, async (inner) => {
    checkName(name);
    if ((await linkOf(name, inner)) === undefined) return;
    const deleted = await ip(['link', 'del', 'dev', name], inner);
    if (deleted.status === 0 || (await linkOf(name, inner)) === undefined) return;
    throw refusal(`the removal of ${name}`, deleted);
  });
}

/** The bridge that a port belongs to; undefined when it belongs to none, or is not there. */
export async function bridgeOf(port: string, signal: AbortSignal): Promise<string | undefined> {
  checkName(port);
  return withDeadline(`looking up ${port}`, STEP_MS, signal, async (inner) => {
    const link = await linkOf(port, inner);
    return link?.master;
  });
}

const links = z
  .array(
    z.object({
      ifname: z.string().optional(),
      mtu: z.number().optional(),
      master: z.string().optional(),
      /** Of a tap: its user, by number where this host has no name for it. */
      linkinfo: z
        .object({
          info_data: z.object({ user: z.union([z.number(), z.string()]).optional() }).optional(),
        })
        .optional(),
    }),
  )
  .max(16);

async function linkOf(
  name: string,
  signal: AbortSignal,
): Promise<z.infer<typeof links>[number] | undefined> {
  const answer = await ip(['-j', '-d', 'link', 'show', 'dev', name], signal);
  if (answer.status !== 0) return undefined;
  try {
    return links.parse(JSON.parse(answer.output)).find((link) => link.ifname === name);
  } catch (cause) {
    throw godwitError(
      'GODWIT_HOST_LACKS',
      { what: 'an `ip` that writes JSON (iproute2 of 2018 or later)' },
      { cause },
    );
  }
}

function checkName(name: string): void {
  if (/^[^/\s-][^/\s]{0,14}$/.test(name)) return;
  throw godwitError('GODWIT_USAGE', { what: `"${name.slice(0, 40)}" is no network link's name` });
}

function refusal(what: string, answer: IpAnswer): Error {
  if (/not permitted|denied/i.test(answer.reason)) {
    return godwitError('GODWIT_PRIVILEGE', { what, needs: 'CAP_NET_ADMIN' });
  }
  return godwitError('GODWIT_HOST_LACKS', { what: `${what}: ${answer.reason}` });
}
