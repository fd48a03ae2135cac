import { createHash } from 'node:crypto';
import { z } from 'zod';
import { withDeadline } from '../deadline.ts';
import { godwitError } from '../errors.ts';
import { ip, type IpAnswer } from './ip.ts';

export interface TapPlan {
  readonly name: string;
  readonly bridge: string;
  /** Default: the bridge's. */
  readonly mtu?: number;
  /** True for a NIC with several queues. */
  readonly multiQueue?: boolean | undefined;
  /** User who may attach a program; default: privileged users only. */
  readonly owner?: number | undefined;
}

const STEP_MS = 5000;

/** Stable name of a migration's NIC on any host; up to 15 characters, the kernel's limit. */
export function tapName(migrationId: string, index: number): string {
  const hash = createHash('sha256').update(migrationId).digest('hex').slice(0, 8);
  return `gw${hash}n${index}`.slice(0, 15);
}

/**
 * MAC of the port itself, which no frame carries. High, because a bridge without a set MAC takes its ports' lowest,
 * and the host's MAC would change with guests.
 */
export function portMac(port: string): string {
  const hash = createHash('sha256').update(port).digest('hex').slice(0, 10);
  return ['fe', ...(hash.match(/../g) ?? [])].join(':');
}

/**
 * Makes the tap, up and in its bridge, or corrects an existing one. Returns its name. GODWIT_HOST_LACKS: missing
 * bridge. GODWIT_PRIVILEGE: missing permission.
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

/** Removes a tap that an earlier attempt made for another user, because its owner cannot be changed. */
async function removeForeign({ name, owner }: TapPlan, signal: AbortSignal): Promise<void> {
  if (owner === undefined) return;
  const user = (await linkOf(name, signal))?.linkinfo?.info_data?.user;
  if (user === undefined || user === owner) return;
  await ip(['link', 'del', 'dev', name], signal);
}

/** GODWIT_ID_REUSED if a link already has the name of this migration's port, because a peer chooses ids. */
export async function mustBeFree(id: string, port: string, signal: AbortSignal): Promise<void> {
  checkName(port);
  const there = await withDeadline(`looking up ${port}`, STEP_MS, signal, (inner) =>
    linkOf(port, inner),
  );
  if (there === undefined) return;
  const hint = `Let the caller make a new id: this one leads to the port ${port}, which is another’s.`;
  throw godwitError('GODWIT_ID_REUSED', { id }, { hint });
}

export function tapWords(
  name: string,
  { multiQueue, owner }: Pick<TapPlan, 'multiQueue' | 'owner'>,
): string[] {
  const queues = multiQueue === true ? ['multi_queue'] : [];
  const user = owner === undefined ? [] : ['user', `${owner}`];
  return ['tuntap', 'add', 'dev', name, 'mode', 'tap', ...queues, ...user];
}

/** Idempotent. */
export async function removeTap(name: string, signal: AbortSignal): Promise<void> {
  await withDeadline(`removing ${name}`, STEP_MS, signal, async (inner) => {
    checkName(name);
    if ((await linkOf(name, inner)) === undefined) return;
    const deleted = await ip(['link', 'del', 'dev', name], inner);
    if (deleted.status === 0 || (await linkOf(name, inner)) === undefined) return;
    throw refusal(`the removal of ${name}`, deleted);
  });
}

/** Bridge of a port; undefined if it has none, or does not exist. */
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
      /** Owner of a tap, by number if it has no name here. */
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
